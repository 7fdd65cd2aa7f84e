// Run compile.py in Pyodide on a folder of wheels: node compile.mjs FOLDER
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { loadPyodide } from "pyodide";

const python = await loadPyodide({ env: { PYTHONHASHSEED: "0" } });
python.mountNodeFS("/wheels", process.argv[2]);
python.mountNodeFS("/lite", fileURLToPath(new URL(".", import.meta.url)));
python.runPython("import sys; sys.path.append('/lite')");
python.runPython(readFileSync(new URL("compile.py", import.meta.url), "utf8"));
