// Open pages of the static site. Job: {site, pages: [path], views: [{width, scheme, axe, weighed}], shots} -> one record a page and view.
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { axePath, inParallel, job, openPage, withBrowser } from "./browser.mjs";

const { site, pages, views, shots } = await job();
const axe = readFileSync(axePath, "utf-8");

/** What a first visitor loads, packed as web servers pack it: text by gzip, pictures as they are. */
async function weightOf(page) {
  const seen = new Map();
  for (const request of page.requests) {
    const body = await request.response().then((response) => response.body()).catch(() => Buffer.alloc(0));
    seen.set(request.url(), /\.(png|jpe?g|webp|woff2?|zip|whl)$/.test(request.url()) ? body.length : gzipSync(body).length);
  }
  return [...seen.values()].reduce((sum, size) => sum + size, 0);
}

/** Things in the article whose right end cannot be reached: beyond the window, or cut off by what they stand in. */
function clipped() {
  const scrolls = (node) => ["auto", "scroll"].includes(getComputedStyle(node).overflowX) && getComputedStyle(node).scrollbarWidth !== "none";
  const found = [];
  for (const node of document.querySelectorAll(".bd-article :is(pre, table, img, svg, mjx-container, .output, .mlx, .auction)")) {
    const { right, width } = node.getBoundingClientRect();
    if (!width || node.closest("mjx-assistive-mml, svg.glyphs, .headerlink, .copybtn, details:not([open])")) continue;
    let reached = scrolls(node) || node.scrollWidth <= node.clientWidth + 1 || getComputedStyle(node).overflowX === "visible";
    let inside = right <= window.innerWidth + 1;
    for (let outer = node.parentElement; outer && !outer.matches("article"); outer = outer.parentElement) {
      if (scrolls(outer)) inside = true;
      if (["hidden", "clip"].includes(getComputedStyle(outer).overflowX) && right > outer.getBoundingClientRect().right + 1 && !inside) reached = false;
    }
    if (!reached || !inside) found.push(`${node.tagName.toLowerCase()}.${node.getAttribute("class") ?? ""}: ${node.textContent.trim().slice(0, 60)}`);
  }
  return found;
}

/** Markup that stands in the text as it was typed, also in folded hints and solutions; code may hold what it likes. */
function rawMarkup() {
  const article = document.querySelector("article")?.cloneNode(true);
  article?.querySelectorAll("pre, code, script, style, svg, mjx-container, .mlx, dl.py").forEach((node) => node.remove());
  return article?.textContent.match(/\\\(|\{cite|\{term|\$[^$\n]{1,80}\$|`[^`\n]+`|Not attempted yet/g) ?? [];
}

async function visit(context, path, { width, scheme, axe: audited, weighed }) {
  const page = await openPage(context, site);
  await page.goto(site + path, { waitUntil: "load" });
  const firstExplorer = (await page.locator("[data-mechlib-explorer]").count())
    ? await page.waitForSelector(".mlx input").then(() => page.evaluate(() => performance.getEntriesByName("mechlib-explorers")[0].startTime)) : null;
  if (weighed) await page.evaluate(async () => { // pictures are loaded when they come into view
    for (const image of document.images) image.loading = "eager";
    await Promise.all([...document.images].map((image) => image.decode().catch(() => null)));
  });
  await page.waitForLoadState("networkidle");
  const loaded = { requests: page.requests.length, bytes: weighed ? await weightOf(page) : null };
  if (audited) await page.evaluate(axe);
  const violations = !audited ? [] : await page.evaluate(async () => (await window.axe.run(document, { resultTypes: ["violations"] })).violations
    .map((v) => `${v.id} (${v.impact}): ${v.help} -- ${v.nodes.slice(0, 3).map((n) => n.html.slice(0, 160)).join(" | ")}`));
  const overflow = await page.evaluate(() => document.scrollingElement.scrollWidth - window.innerWidth);
  const cut = await page.evaluate(clipped);
  const raw = await page.evaluate(rawMarkup);
  if (shots) await page.screenshot({ path: `${shots}/${path.replace(/\W+/g, "-")}-${width}-${scheme}.png`, fullPage: true });
  await page.close();
  return { path, width, scheme, firstExplorer, ...loaded, violations, overflow, cut, raw, problems: page.problems };
}

const records = await inParallel(2, views, (view) =>
  withBrowser({ viewport: { width: view.width, height: 900 }, colorScheme: view.scheme, reducedMotion: "reduce" }, async (context) => {
    const seen = [];
    for (const path of pages) seen.push(await visit(context, path, view));
    return seen;
  }));
console.log(JSON.stringify(records.flat()));
