// Python starts while the page is still being drawn. `begin` is called in a worker that the page makes at once (ahead.js); the
// kernel of JupyterLite, which comes to the same worker seconds later, calls `loadPyodide` and is given what has begun.
import create from "./pyodide.asm.mjs";
import { loadPyodide as load } from "./pyodide.mjs";
import { thaw } from "./frozen.mjs";
import held from "./held.mjs";

let begun;

/** Fetch one of the archives that book/lite/build.py packs. */
async function archive(name) {
  const answer = await fetch(new URL(name, import.meta.url));
  if (!answer.ok) throw new Error(`${answer.url} could not be loaded: ${answer.status}`);
  return new Uint8Array(await new Response(answer.body.pipeThrough(new DecompressionStream("gzip"))).arrayBuffer());
}

/** Load Python as it was frozen, with a chapter's recordings and, if it asks for that, scipy. */
async function whole(options) {
  const scipy = options.packages.includes("scipy"), recordings = options.packages.filter((name) => name.startsWith("recording-"));
  const files = ["packages.pack", ...(scipy ? ["scipy.tgz"] : []), ...recordings.map((name) => `${name}.pack`)].map(archive);
  const python = await thaw(load, create, { ...options, packages: [] }, archive("frozen.pack"), files);
  Object.assign(python.loadedPackages, held, scipy && { scipy: "default channel" });
  python.runPython("import importlib, numpy, random; importlib.invalidate_caches(); random.seed(); numpy.random.seed()");
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
