// Show a reply that tries to be markup. Job: {site, page} for a static page, {site, live: source, notebook} for a live one.
import { job, openPage, withBrowser } from "./browser.mjs";

const { site, page: path, live, notebook } = await job();

await withBrowser({}, async (context) => {
  const page = await openPage(context, site);
  if (path) {
    await page.goto(site + path, { waitUntil: "load" });
    await page.waitForTimeout(500);
  } else {
    await page.goto(`${site}lite/notebooks/index.html?path=${notebook}`);
    await page.waitForFunction(() => window.jupyterapp?.shell.currentWidget?.context?.isReady, null, { timeout: 90000 });
    await page.evaluate(async (source) => {
      const { content, sessionContext } = window.jupyterapp.shell.currentWidget;
      await sessionContext.ready;
      content.activeCellIndex = content.widgets.findIndex((widget) => widget.model.type === "code");
      content.activeCell.model.sharedModel.setSource(source);
      await window.jupyterapp.commands.execute("notebook:run-cell");
    }, live);
  }
  const seen = await page.evaluate(() => ({
    injected: window.injected ?? null,
    images: document.querySelectorAll('img[src="injected.png"]').length,
    text: document.body.innerText,
  }));
  console.log(JSON.stringify(seen));
});
