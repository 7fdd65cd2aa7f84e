// Freeze Python (see frozen.mjs) once it has run a script: node freeze.mjs FOLDER SCRIPT INTO, where FOLDER holds what a page loads.
import crypto from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { gunzipSync } from "node:zlib";

const [folder, script, into] = process.argv.slice(2), at = (name) => new URL(name, pathToFileURL(`${folder}/`));
const { loadPyodide } = await import(at("pyodide.mjs")), { default: create } = await import(at("pyodide.asm.mjs"));
const { places, unpack, watched } = await import(at("frozen.mjs"));

// the same memory in every build
Date.now = () => Date.UTC(2026, 0, 1);
performance.now = () => 0;
crypto.randomFillSync = (array) => array.fill(1);

const { libraries, create: createPyodideModule } = watched(create);
const env = { PYTHONHASHSEED: "0" };
const python = await loadPyodide({ indexURL: folder, _makeSnapshot: true, env, createPyodideModule });
for (const name of ["packages", "recording-incentives"]) unpack(gunzipSync(readFileSync(at(`${name}.pack`))), python.FS);
// apart from the globals that the page's Python has
const apart = python.runPython("import importlib; importlib.invalidate_caches(); dict(__name__='frozen')");
await python.runPythonAsync(readFileSync(script, "utf8"), { globals: apart });
apart.destroy();
const loaded = python.runPython("import json, sys; json.dumps([str(getattr(m, '__file__', '')) for m in sys.modules.values()])");
const told = { places: JSON.stringify(places(python._module, libraries)), memory: python._module.HEAPU8, loaded };
for (const [name, data] of Object.entries(told)) writeFileSync(`${into}/${name}`, data);
