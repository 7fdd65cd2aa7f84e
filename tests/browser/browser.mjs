// A Chromium that reaches the site under test and nothing else, and that writes down whatever goes wrong on a page.
import { createRequire } from "node:module";
import { execSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const book = createRequire(new URL("../../book/package.json", import.meta.url));
const { chromium } = book("playwright-core");
export const axePath = book.resolve("axe-core/axe.min.js");

const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync"];

/** Launch a fresh profile, hand it to `use`, and close it whatever happens. */
export async function withBrowser(options, use) {
  const profile = mkdtempSync(join(tmpdir(), "mechlib-chromium-"));
  const executablePath = process.env.CHROMIUM ?? execSync("which chromium || which chromium-browser || which google-chrome").toString().trim();
  const context = await chromium.launchPersistentContext(profile, { headless: true, executablePath, args: FLAGS, ...options });
  try {
    return await use(context);
  } finally {
    await context.close();
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** Open a page on which every request to another origin is refused; `page.problems` collects what went wrong. */
export async function openPage(context, site) {
  const page = await context.newPage();
  page.problems = [];
  page.requests = [];
  const origin = new URL(site).origin;
  const note = (kind, text) => page.problems.push(`${kind}: ${text}`);
  await page.route((url) => url.origin !== origin && /^(https?|wss?):/.test(url.protocol), (route) => {
    note("outside request", route.request().url());
    return route.abort();
  });
  const ours = (address) => new URL(address, site).pathname !== "/favicon.ico"; // Chromium asks the server's root by itself
  page.on("console", (message) => message.type() === "error" && ours(message.location().url) && note("console", `${message.text()} (${message.location().url})`));
  page.on("pageerror", (error) => note("exception", String(error.stack ?? error)));
  page.on("response", (response) => {
    page.requests.push(response.request());
    if (response.status() >= 400 && ours(response.url())) note("response", `${response.status()} ${response.url()}`);
  });
  page.on("requestfailed", (request) => note("failed", `${request.failure()?.errorText} ${request.url()}`));
  return page;
}

/** Ask the page again and again until an asynchronous question has a true answer; `waitForFunction` takes a promise for one. */
export async function until(page, question, argument, seconds = 90) {
  for (const end = Date.now() + 1000 * seconds; ; await page.waitForTimeout(250)) {
    if (await page.evaluate(question, argument)) return;
    if (Date.now() > end) throw new Error(`not so after ${seconds} seconds: ${question}`);
  }
}

/** Bytes that crossed the wire for the page's requests so far. */
export async function bytesOf(page) {
  const sizes = await Promise.all(page.requests.map((request) => request.sizes().catch(() => null)));
  return sizes.reduce((sum, size) => sum + (size ? size.responseBodySize + size.responseHeadersSize : 0), 0);
}

/** Read the job that the test wrote to standard input. */
export async function job() {
  let text = "";
  for await (const chunk of process.stdin) text += chunk;
  return JSON.parse(text);
}

/** Run `work` over `items`, `width` at a time, and return the results in order. */
export async function inParallel(width, items, work) {
  const results = [];
  let next = 0;
  const worker = async () => {
    while (next < items.length) {
      const index = next++;
      results[index] = await work(items[index]);
    }
  };
  await Promise.all(Array.from({ length: width }, worker));
  return results;
}
