// Play the auction of the front page by keyboard, by slider and by dragging. Job: {site, width}.
import { job, openPage, withBrowser } from "./browser.mjs";

const { site, width } = await job();

await withBrowser({ viewport: { width, height: 900 } }, async (context) => {
  const page = await openPage(context, site);
  await page.goto(site, { waitUntil: "load" });
  const box = page.locator(".auction"), slider = box.locator("input[type=range]"), go = box.locator("button");
  const text = (name) => box.locator(name).textContent();
  const first = await text(".bid");
  await slider.focus();
  for (let i = 0; i < 22; i++) await page.keyboard.press("ArrowRight"); // from 50 to 72, the truth
  const keyed = await text(".bid");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  const truth = await text(".said"), drawn = await box.locator("svg .gain").count();
  await go.click();
  const svg = box.locator("svg"), frame = await svg.boundingBox();
  await page.mouse.move(frame.x + frame.width * 0.5, frame.y + frame.height * 0.6);
  await page.mouse.down();
  await page.mouse.move(frame.x + frame.width * 0.9, frame.y + frame.height * 0.6, { steps: 5 });
  await page.mouse.up();
  const dragged = await text(".bid");
  await box.getByLabel("its own bid").check();
  await go.click();
  const own = await text(".said");
  const copies = await page.locator(".cell_output .copybtn, .output .copybtn").count();
  console.log(JSON.stringify({ first, keyed, truth, drawn, dragged, own, tally: await text(".tally"), copies, problems: page.problems }));
});
