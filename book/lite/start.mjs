// Python starts while the page is still being drawn. `begin` is called in a worker that the page makes at once (ahead.js); the
// kernel of JupyterLite, which comes to the same worker seconds later, calls `loadPyodide` and is given what has begun.
import { loadPyodide as load } from "./pyodide.mjs";

let begun;

/** Load Python and run the imports of a chapter, so that its cells find their modules loaded. */
export function begin(options, imports) {
  begun = load(options).then(async (python) => {
    await python.runPythonAsync(imports).catch(console.warn); // if one fails, the cell that needs it will say so
    return python;
  });
}

/** What the kernel takes for Pyodide's own function. */
export async function loadPyodide(options) {
  if (!begun) return load(options); // as after a restart
  const python = await begun;
  begun = undefined;
  python.setStdout({ batched: options.stdout });
  python.setStderr({ batched: options.stderr });
  return python;
}
