// Python starts while the page is still being drawn. `begin` is called in a worker that the page makes at once (ahead.js); the
// kernel of JupyterLite, which comes to the same worker seconds later, calls `loadPyodide` and is given what has begun.
import create from "./pyodide.asm.mjs";
import { loadPyodide as load } from "./pyodide.mjs";
import { thaw, unpack } from "./frozen.mjs";
import held from "./held.mjs";

let begun;

/** Fetch one of the archives that book/lite/build.py packs. */
async function archive(name) {
  const answer = await fetch(new URL(`${name}.pack`, import.meta.url));
  if (!answer.ok) throw new Error(`${answer.url} could not be loaded: ${answer.status}`);
  return new Uint8Array(await new Response(answer.body.pipeThrough(new DecompressionStream("gzip"))).arrayBuffer());
}

/** Load Python and its packages, as they were frozen, or, where that cannot be, one by one. */
async function whole(options) {
  const recordings = options.packages.filter((name) => name.startsWith("recording-"));
  const rest = { ...options, packages: options.packages.filter((name) => !(name in held) && !recordings.includes(name)) };
  const packages = archive("packages"), archives = recordings.map(archive);
  const python = await thaw(load, create, rest, archive("frozen"), packages).catch(async (error) => {
    console.warn("Python starts from its packages:", error);
    const fresh = await load(rest);
    for (const fetched of [packages, archive("modules")]) unpack(await fetched, fresh.FS);
    return fresh;
  });
  for (const fetched of archives) unpack(await fetched, python.FS);
  Object.assign(python.loadedPackages, held);
  python.runPython("import importlib; importlib.invalidate_caches()");
  return python;
}

/** Load Python and run the imports of a chapter, so that its cells find their modules loaded. */
export function begin(options, imports) {
  begun = whole(options).then(async (python) => {
    await python.runPythonAsync(imports).catch(console.warn); // if one fails, the cell that needs it will say so
    return python;
  });
}

/** What the kernel takes for Pyodide's own function. */
export async function loadPyodide(options) {
  if (!begun) return whole(options); // as after a restart
  const python = await begun;
  begun = undefined;
  python.setStdout({ batched: options.stdout });
  python.setStderr({ batched: options.stderr });
  return python;
}
