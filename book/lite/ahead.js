// The kernel's worker, which begins to load Python before the kernel asks. Its name says with what.
import "./the kernel's worker";
import { begin } from "../../../../static/pyodide/start.mjs";

const { options, imports } = JSON.parse(self.name);
begin(options, imports);

// What this worker has loaded is not in the page's own list: the page asks for it, to keep it for the next visit.
const channel = new BroadcastChannel("mechlib-loaded");
channel.onmessage = ({ data }) => data === "what?" && channel.postMessage(performance.getEntriesByType("resource").map(({ name }) => name));
