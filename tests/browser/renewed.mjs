// Open a live page until it is kept, let the site be published anew, and open it again. Job: {site, name, next}.
import { job, openPage, until, withBrowser } from "./browser.mjs";

const { site, name, next } = await job();

/** Open the page, wait until what it loads is kept under an edition, and say of which edition page, script and cache are. */
async function visit(context, edition) {
  const page = await openPage(context, site);
  await page.goto(`${site}lite/notebooks/index.html?path=${name}`);
  const script = `${site}lite/live.js`, editions = async () => (await caches.keys()).filter((key) => key.startsWith("mechlib-live-"));
  await until(page, async ([address, wanted]) => {
    const kept = (await caches.keys()).filter((key) => key.startsWith("mechlib-live-"));
    return kept.length === 1 && (!wanted || kept[0].endsWith(wanted)) && await (await caches.open(kept[0])).match(address) !== undefined;
  }, [script, edition]);
  const seen = await page.evaluate(() => ({ edition: document.documentElement.dataset.edition, published: window.published ?? false }));
  const kept = await page.evaluate(editions);
  await page.close();
  return { ...seen, kept };
}

await withBrowser({}, async (context) => {
  const before = await visit(context);
  await fetch(`${site}publish-the-next`);
  console.log(JSON.stringify({ before, after: await visit(context, next) }));
});
