// Python starts while the page is still being drawn. `begin` is called in a worker that the page makes at once (ahead.js); the
// kernel of JupyterLite, which comes to the same worker seconds later, calls `loadPyodide` and is given what has begun.
import { loadPyodide as load } from "./pyodide.mjs";
import held from "./held.mjs";

const SITE = "/lib/python3.14/site-packages/";
let begun;

/** Lay the files of a tar archive into Python's file system; no name is longer than the header's two fields. */
function unpack(archive, FS, root) {
  const decoder = new TextDecoder(), folders = new Set();
  const field = (at, length) => decoder.decode(archive.subarray(at, at + length)).split("\0", 1)[0];
  for (let at = 0; archive[at]; ) {
    const path = [field(at + 345, 155), field(at, 100)].filter(Boolean).join("/"), size = parseInt(field(at + 124, 12), 8);
    const cut = path.lastIndexOf("/"), folder = root + path.slice(0, cut + 1);
    if (!folders.has(folder)) FS.mkdirTree(folder);
    folders.add(folder);
    FS.createDataFile(folder, path.slice(cut + 1), archive.subarray(at + 512, at + 512 + size), true, true, true);
    at += 512 * (1 + Math.ceil(size / 512));
  }
}

/** Fetch one of the archives that book/lite/build.py packs. */
async function archive(name) {
  const answer = await fetch(new URL(`${name}.pack`, import.meta.url));
  if (!answer.ok) throw new Error(`${answer.url} could not be loaded: ${answer.status}`);
  return new Uint8Array(await new Response(answer.body.pipeThrough(new DecompressionStream("gzip"))).arrayBuffer());
}

/** Load Python and its packages. Those in archives are laid out here: Python takes three times as long to unpack wheels. */
async function whole(options) {
  const recordings = options.packages.filter((name) => name.startsWith("recording-"));
  const packages = options.packages.filter((name) => !(name in held) && !recordings.includes(name));
  const archives = ["packages", ...recordings].map(archive), python = await load({ ...options, packages });
  for (const fetched of archives) unpack(await fetched, python.FS, SITE);
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
