// Move every explorer of static pages: by the pointer in the drawing, by a slider, by keyboard. Job: {site, pages, width}.
import { job, openPage, withBrowser } from "./browser.mjs";

const { site, pages, width } = await job();
const drawing = (box) => box.locator("svg[role=img]").first().innerHTML();

async function move(page, box) {
  await box.scrollIntoViewIfNeeded();
  const title = await box.getAttribute("aria-label");
  const said = async () => [await drawing(box), await box.locator(".mlx-said").textContent()].join("\n");
  const first = await said();
  const slider = box.locator("input").first();
  await slider.focus();
  let keyed = false;
  for (const key of ["ArrowRight", "ArrowLeft", "ArrowLeft"]) { // a slider may stand at either of its ends
    await page.keyboard.press(key);
    keyed ||= (await said()) !== first;
  }
  await box.getByRole("button", { name: "Reset" }).click();
  const reset = await said();
  const track = await slider.boundingBox();
  await page.mouse.move(track.x + track.width / 2, track.y + track.height / 2);
  await page.mouse.down();
  await page.mouse.move(track.x + track.width * 0.9, track.y + track.height / 2, { steps: 5 });
  await page.mouse.up();
  const slid = await said();
  let dragged = null;
  const svg = box.locator("svg.mlx-drag");
  if (await svg.count()) {
    const before = await said();
    await svg.scrollIntoViewIfNeeded();
    const frame = await svg.boundingBox();
    await page.mouse.move(frame.x + frame.width * 0.5, frame.y + frame.height * 0.6);
    await page.mouse.down();
    await page.mouse.move(frame.x + frame.width * 0.25, frame.y + frame.height * 0.3, { steps: 5 });
    await page.mouse.up();
    dragged = (await said()) !== before;
  }
  const edges = await box.evaluate((node) => [node.getBoundingClientRect().right, window.innerWidth, node.scrollWidth - node.clientWidth]);
  return { title, keyed, reset: reset === first, slid: slid !== first, dragged, edges };
}

/** Draw an explorer that is not in the page yet, let it in, and draw it once more when it has left, as JupyterLab does. */
const comeAndGo = (node) => node.evaluate(async (host) => {
  const { default: { render } } = await import(document.querySelector('script[src*="explorers.js"]').src);
  const values = JSON.parse(host.dataset.mechlibExplorer), el = document.createElement("div");
  const drawn = () => el.querySelectorAll("svg[role=img] > *").length, events = {};
  const model = { get: (name) => values[name], set() {}, save_changes() {}, on: (event, call) => { events[event] = call; } };
  render({ model, el });
  const outside = drawn();
  host.after(el);
  await new Promise((done) => setTimeout(done, 200));
  const inside = drawn();
  el.remove();
  events["change:params"]();
  return { outside, inside };
});

await withBrowser({ viewport: { width, height: 900 }, hasTouch: width < 500 }, async (context) => {
  const records = [];
  for (const path of pages) {
    const page = await openPage(context, site);
    await page.goto(site + path);
    await page.locator(".mlx").first().waitFor();
    for (const box of await page.locator(".mlx").all()) records.push({ path, ...(await move(page, box)), problems: page.problems });
    records.at(-1).visit = await comeAndGo(page.locator("[data-mechlib-explorer]").first());
    await page.close();
  }
  console.log(JSON.stringify(records));
});
