// Freeze Python with its packages imported (see frozen.mjs): node freeze.mjs FOLDER SCRIPT, where FOLDER holds what a page loads.
import { readFileSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { gunzipSync } from "node:zlib";

const [folder, script] = process.argv.slice(2), at = (name) => new URL(name, pathToFileURL(`${folder}/`));
const { loadPyodide } = await import(at("pyodide.mjs")), { default: create } = await import(at("pyodide.asm.mjs"));
const { named, places, unpack, watched } = await import(at("frozen.mjs"));

const { libraries, create: createPyodideModule } = watched(create);
const env = { PYTHONHASHSEED: "0" }; // the same memory in every build
const python = await loadPyodide({ indexURL: folder, _makeSnapshot: true, env, createPyodideModule });
for (const name of ["packages", "recording-incentives"]) unpack(gunzipSync(readFileSync(at(`${name}.pack`))), python.FS);
const apart = python.runPython("dict(__name__='frozen')"); // not in the globals of the page's Python
await python.runPythonAsync(readFileSync(script, "utf8"), { globals: apart });
apart.destroy();
writeFileSync(at("memory"), python.makeMemorySnapshot({ serializer: (value) => named(value, python._api) }));
writeFileSync(at("places"), JSON.stringify(places(python._module, libraries)));
const loaded = "import json, sys; json.dumps([str(getattr(module, '__file__', '')) for module in sys.modules.values()])";
writeFileSync(at("loaded"), python.runPython(loaded));
