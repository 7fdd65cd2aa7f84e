// The kernel's worker, which begins to load Python before the kernel asks. Its name says with what.
import "./the kernel's worker";
import { begin } from "../../../../static/pyodide/start.mjs";

const { options, imports } = JSON.parse(self.name);
begin(options, imports);
