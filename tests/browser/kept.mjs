// Open a live page, run it, cut it off from its server, and open and run it again. Job: {site, name}.
import { job, openPage, until, withBrowser } from "./browser.mjs";

const { site, name } = await job();

/** Run all cells of the notebook, and return what every cell shows. */
async function run(page) {
  await page.goto(`${site}lite/notebooks/index.html?path=${name}`);
  await page.waitForFunction(() => window.jupyterapp?.shell.currentWidget?.context?.isReady, null, { timeout: 180000 });
  return page.evaluate(async () => {
    await window.jupyterapp.commands.execute("notebook:clear-all-cell-outputs");
    await window.jupyterapp.shell.currentWidget.sessionContext.ready;
    await window.jupyterapp.commands.execute("notebook:run-all-cells");
    return window.jupyterapp.shell.currentWidget.content.model.sharedModel.toJSON().cells;
  });
}

await withBrowser({}, async (context) => {
  const first = await openPage(context, site), cells = [await run(first)];
  // what was loaded before the service worker was there comes after
  const asked = first.requests.map((r) => r.url()).filter((url) => /\/lite\/(build|extensions|static)\//.test(url));
  await until(first, async (needed) => {
    const edition = (await caches.keys()).find((key) => key.startsWith("mechlib-live-"));
    if (!edition) return false;
    const kept = (await (await caches.open(edition)).keys()).map(({ url }) => url);
    return needed.every((url) => kept.includes(url));
  }, [`${site}lite/notebooks/index.html`, ...asked]);
  const kept = (await first.evaluate(() => caches.keys())).filter((key) => key !== "precache"); // JupyterLite's own, empty
  await first.close();
  await fetch(`${site}cut-the-line`);
  cells.push(await run(await openPage(context, site)));
  console.log(JSON.stringify({ cells, kept }));
});
