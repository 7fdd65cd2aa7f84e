// Run notebooks in the live pages. Job: {site, notebooks: [{name, explorer, exercise: {cell, tries: [source]}}], width, shots}.
import { bytesOf, inParallel, job, openPage, withBrowser } from "./browser.mjs";

const { site, notebooks, width = 2, shots } = await job();

/** Open one notebook, clear its committed outputs, run all of it, and read what it showed. */
async function runAll(context, { name, explorer, exercise }) {
  const start = Date.now();
  const page = await openPage(context, site);
  await page.goto(`${site}lite/notebooks/index.html?path=${name}`);
  await page.waitForFunction(() => window.jupyterapp?.shell.currentWidget?.context?.isReady, null, { timeout: 90000 });
  const asked = page.locator(".jp-Dialog").count();
  await page.evaluate(async () => {
    await window.jupyterapp.commands.execute("notebook:clear-all-cell-outputs");
    await window.jupyterapp.shell.currentWidget.sessionContext.ready;
    await window.jupyterapp.commands.execute("notebook:run-all-cells");
  });
  const seconds = (Date.now() - start) / 1000;
  const cells = await page.evaluate(() => window.jupyterapp.shell.currentWidget.content.model.sharedModel.toJSON().cells);
  const run = page.locator("#course-bar button");
  const course = await page.evaluate(() => ({
    back: document.querySelector("#course-bar a").href,
    dark: document.body.dataset.jpThemeLight === "false",
    links: [...document.querySelectorAll(".jp-MarkdownCell a[href]")].map((link) => link.href),
  }));
  course.offered = await run.isEnabled();
  course.recordings = page.requests.map((r) => /recording-(\w+)\.pack/.exec(r.url())?.[1]).filter(Boolean).sort();
  course.pythons = page.requests.filter((r) => r.url().endsWith("pyodide.asm.wasm")).length;
  const result = { name, seconds, course, cells, asked: await asked, requests: page.requests.length, bytes: await bytesOf(page) };
  result.diagrams = await diagrams(page);
  if (explorer) result.explorer = await moveExplorer(page, explorer).catch((error) => ({ error: String(error) }));
  if (exercise) result.tries = await attempt(page, exercise).catch((error) => [String(error)]);
  if (shots) await page.screenshot({ path: `${shots}/live-${name}.png` });
  await page.close();
  return { ...result, problems: page.problems };
}

/** Scroll to each cell with a diagram, and return how many are drawn. */
async function diagrams(page) {
  const cells = await page.evaluate(() => window.jupyterapp.shell.currentWidget.content.widgets
    .flatMap(({ model }, i) => (model.sharedModel.source.includes("```mermaid") ? [i] : [])));
  for (const cell of cells) {
    await page.evaluate((i) => window.jupyterapp.shell.currentWidget.content.scrollToItem(i, "start"), cell);
    const drawn = (i) => window.jupyterapp.shell.currentWidget.content.widgets[i].node.querySelector(".jp-RenderedMermaid :is(img, svg)");
    if (!(await page.waitForFunction(drawn, cell, { timeout: 20000 }).then(() => true, () => false))) return cells.indexOf(cell);
  }
  return cells.length;
}

/** Scroll to the explorer's cell, move its first slider with the keyboard, and return the drawing before and after. */
async function moveExplorer(page, id) {
  await page.evaluate(async (cell) => {
    const { content } = window.jupyterapp.shell.currentWidget;
    await content.scrollToItem(content.widgets.findIndex((widget) => widget.model.id === cell), "start");
  }, id);
  const box = page.locator(".mlx").first();
  await box.waitFor({ timeout: 20000 });
  const drawing = () => box.locator("svg[role=img]").innerHTML();
  const before = await drawing();
  await box.locator("input").first().focus();
  let after = before;
  for (let i = 0; i < 8 && after === before; i++) { // it may stand at either end
    await page.keyboard.press(i ? "ArrowLeft" : "ArrowRight");
    after = await drawing();
  }
  return { before, after };
}

/** Put one source after the other into an exercise's cell, run it each time, and return what it printed. */
async function attempt(page, { cell, tries }) {
  return page.evaluate(async ([id, sources]) => {
    const { content } = window.jupyterapp.shell.currentWidget;
    const index = content.widgets.findIndex((widget) => widget.model.id === id);
    const said = [];
    for (const source of sources) {
      content.deselectAll();
      content.activeCellIndex = index;
      content.activeCell.model.sharedModel.setSource(source);
      await window.jupyterapp.commands.execute("notebook:run-cell");
      const shown = content.activeCell.model.sharedModel.toJSON().outputs.filter((o) => o.name !== "stderr"); // progress bars
      said.push(shown.map((o) => [o.text ?? o.data?.["text/plain"] ?? o.evalue].flat().join("")).join(""));
    }
    return said;
  }, [cell, tries]);
}

const settled = (context) => (notebook) => runAll(context, notebook)
  .catch((error) => ({ name: notebook.name, failure: String(error), cells: [], problems: [] }));

await withBrowser({ colorScheme: "dark" }, async (context) => {
  // the first one alone: it starts cold, and its time is the figure that a reader meets
  const first = await inParallel(1, notebooks.slice(0, 1), settled(context));
  console.log(JSON.stringify([...first, ...await inParallel(width, notebooks.slice(1), settled(context))]));
});
