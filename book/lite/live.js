// What the live pages have beside JupyterLite: a bar with the way back and a button that runs the chapter, links into the
// book, the book's colours, and for each chapter its own recordings and imports, loaded while the page is drawn.
const KERNEL = "@jupyterlite/pyodide-kernel-extension:kernel", BOOK = "https://book.invalid/";
// What a chapter has no use for: without it the page is ready earlier.
const UNUSED = [
  ...["audio", "celltags", "console", "fileeditor", "javascript", "json", "json-lines", "logconsole", "lsp",
    "theme-dark-high-contrast", "vega5", "video"].map((name) => `@jupyterlab/${name}-extension`),
  ...["code-console", "language-server", "log-output"].map((name) => `@jupyterlab/notebook-extension:${name}`),
  "@jupyterlab/application-extension:faviconbusy", "@jupyterlab/tooltip-extension:consoles", "@jupyterlab/tooltip-extension:files",
  "@jupyter-notebook/console-extension", "@jupyterlite/application-extension:lsp-connection-manager",
];
const path = new URLSearchParams(location.search).get("path") ?? "", chapter = path.split("/").pop();
const up = new URL("../../", location.href);

/** Let Python start now; the kernel is given this worker when it asks for one. */
function startPython(packages, imports, ahead) {
  if (crossOriginIsolated) return; // the kernel would take a worker of another kind
  const lite = new URL("../", location.href), python = new URL("static/pyodide/", lite).href;
  const options = { indexURL: python, lockFileURL: `${python}pyodide-lock.json`, packages };
  const begun = new Worker(new URL(ahead, lite), { type: "module", name: JSON.stringify({ options, imports }) });
  const Ordinary = window.Worker;
  window.Worker = class extends Ordinary {
    constructor(address, how) {
      if (!/comlink\.worker/.test(address)) return super(address, how);
      window.Worker = Ordinary;
      return begun;
    }
  };
}

/** Change the configuration that JupyterLite is about to read, and start Python for the chapter. */
export function configure(needs, imports, ahead) {
  performance.setResourceTimingBufferSize(2000); // see `kept`
  const script = document.getElementById("jupyter-config-data"), config = JSON.parse(script.textContent);
  const options = config.litePluginSettings[KERNEL].loadPyodideOptions;
  const unneeded = new Set(Object.values(needs).flat());
  for (const name of needs[chapter] ?? unneeded) unneeded.delete(name);
  options.packages = options.packages.filter((name) => !unneeded.has(name));
  startPython(options.packages, imports[chapter] ?? "", ahead);
  config.disabledExtensions = [...config.disabledExtensions, ...UNUSED];
  const mode = localStorage.getItem("mode") ?? "auto", dark = mode === "dark" || (mode === "auto" && matchMedia("(prefers-color-scheme: dark)").matches);
  config.settingsOverrides = { ...config.settingsOverrides, "@jupyterlab/apputils-extension:themes": {
    theme: dark ? "JupyterLab Dark" : "JupyterLab Light", "adaptive-theme": mode === "auto" } };
  script.textContent = JSON.stringify(config);
  document.documentElement.classList.toggle("course-dark", dark);
}

/** Lead links of the book to the book, whenever a cell is rendered. */
function lead(root) {
  for (const link of root.querySelectorAll?.(`a[href^="${BOOK}"]`) ?? []) {
    link.href = new URL(link.getAttribute("href").slice(BOOK.length), up);
    link.target = "_blank";
    link.rel = "noopener";
  }
}

/** Tell the service worker what the page and Python's worker loaded before it was there. */
async function kept() {
  const { active } = await navigator.serviceWorker.ready, worker = new BroadcastChannel("mechlib-loaded");
  const { edition } = document.documentElement.dataset, tell = (loaded) => active.postMessage({ edition, loaded });
  tell([location.href.split(/[?#]/)[0], ...performance.getEntriesByType("resource").map(({ name }) => name)]);
  worker.onmessage = ({ data }) => data === "what?" || tell(data);
  worker.postMessage("what?");
}

function bar() {
  const back = document.querySelector("#course-bar a"), run = document.querySelector("#course-bar button");
  const said = document.querySelector("#course-bar [role=status]");
  back.href = chapter ? new URL(chapter.replace(/\.ipynb$/, ".html"), up) : up;
  const say = (text) => { said.textContent = text; };
  say("Python is starting");
  const panel = () => window.jupyterapp?.shell.currentWidget;
  const wait = setInterval(async () => {
    if (!panel()?.context?.isReady) return;
    clearInterval(wait);
    await panel().sessionContext.ready;
    await panel().sessionContext.session?.kernel?.info;
    run.disabled = false;
    say("Ready. Run a cell with Shift and Enter");
    if (navigator.serviceWorker) setTimeout(kept, 20000); // not while Python starts
  }, 250);
  run.addEventListener("click", async () => {
    run.disabled = true;
    say("Running all cells");
    const since = performance.now();
    const done = await window.jupyterapp.commands.execute("notebook:run-all-cells");
    say(done === false ? "Stopped at an error: see the cell" : `All cells have run, in ${Math.round((performance.now() - since) / 1000)} seconds`);
    run.disabled = false;
  });
}

new MutationObserver((changes) => {
  for (const { addedNodes, target } of changes) {
    if (addedNodes.length) lead(target);
  }
}).observe(document.documentElement, { childList: true, subtree: true });
bar();
