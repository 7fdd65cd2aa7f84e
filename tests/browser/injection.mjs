// Show a reply that tries to be markup. Job: {site, page} for a static page, {site, live: source} for a live one.
import { job, openPage, withBrowser } from "./browser.mjs";

const { site, page: path, live } = await job();

await withBrowser({}, async (context) => {
  const page = await openPage(context, site);
  if (path) {
    await page.goto(site + path, { waitUntil: "load" });
    await page.waitForTimeout(500);
  } else {
    await page.goto(`${site}lite/notebooks/index.html`);
    await page.waitForFunction(() => window.jupyterapp?.serviceManager, null, { timeout: 90000 });
    await page.evaluate(async (source) => {
      const { commands, shell, serviceManager } = window.jupyterapp;
      await serviceManager.ready;
      const { path } = await serviceManager.contents.newUntitled({ type: "notebook" });
      await commands.execute("docmanager:open", { path, kernel: { name: "python" } });
      const panel = shell.currentWidget;
      await panel.context.ready;
      await panel.sessionContext.ready;
      panel.content.activeCell.model.sharedModel.setSource(source);
      await commands.execute("notebook:run-all-cells");
    }, live);
  }
  const seen = await page.evaluate(() => ({
    injected: window.injected ?? null,
    images: document.querySelectorAll('img[src="injected.png"]').length,
    text: document.body.innerText,
  }));
  console.log(JSON.stringify(seen));
});
