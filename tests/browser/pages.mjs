// Open pages of the static site. Job: {site, pages: [path], views: [{width, scheme, axe}], shots} -> one record a page and view.
import { readFileSync } from "node:fs";
import { axePath, bytesOf, inParallel, job, openPage, withBrowser } from "./browser.mjs";

const { site, pages, views, shots } = await job();
const axe = readFileSync(axePath, "utf-8");

async function visit(context, path, { width, scheme, axe: audited }) {
  const page = await openPage(context, site);
  await page.goto(site + path, { waitUntil: "load" });
  const firstExplorer = (await page.locator("[data-mechlib-explorer]").count())
    ? await page.waitForSelector(".mlx input").then(() => page.evaluate(() => performance.getEntriesByName("mechlib-explorers")[0].startTime)) : null;
  await page.waitForFunction(() => !window.MathJax?.startup?.promise || window.MathJax.startup.promise.then(() => true));
  await page.waitForFunction(() => [...document.querySelectorAll("pre.mermaid")].every((node) => node.querySelector("svg")), null, { timeout: 20000 });
  await page.waitForLoadState("networkidle");
  const loaded = { requests: page.requests.length, bytes: await bytesOf(page) };
  if (audited) await page.evaluate(axe);
  const serious = !audited ? [] : await page.evaluate(async () => {
    const { violations } = await window.axe.run(document, { resultTypes: ["violations"], runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"] });
    return violations.filter((v) => v.impact === "serious" || v.impact === "critical")
      .map((v) => `${v.id}: ${v.help} -- ${v.nodes.slice(0, 3).map((n) => n.html.slice(0, 160)).join(" | ")}`);
  });
  const overflow = await page.evaluate(() => document.scrollingElement.scrollWidth - window.innerWidth);
  if (shots) await page.screenshot({ path: `${shots}/${path.replace(/\W+/g, "-")}-${width}-${scheme}.png`, fullPage: true });
  await page.close();
  return { path, width, scheme, firstExplorer, ...loaded, serious, overflow, problems: page.problems };
}

const records = await inParallel(2, views, (view) =>
  withBrowser({ viewport: { width: view.width, height: 900 }, colorScheme: view.scheme }, async (context) => {
    const seen = [];
    for (const path of pages) seen.push(await visit(context, path, view));
    return seen;
  }));
console.log(JSON.stringify(records.flat()));
