// Let a live page's Python run pieces of code, and again after its kernel has been restarted. Job: {site, name, codes, again}.
import { job, openPage, withBrowser } from "./browser.mjs";

const { site, name, codes, again } = await job();

await withBrowser({}, async (context) => {
  const page = await openPage(context, site);
  await page.goto(`${site}lite/notebooks/index.html?path=${name}`);
  await page.waitForFunction(() => window.jupyterapp?.shell.currentWidget?.context?.isReady, null, { timeout: 180000 });
  const said = await page.evaluate(async ([codes, again]) => {
    const session = window.jupyterapp.shell.currentWidget.sessionContext;
    await session.ready;
    const run = async (code) => {
      const said = [], asked = session.session.kernel.requestExecute({ code });
      asked.onIOPub = ({ content }) => said.push(content.text ?? content.data?.["text/plain"] ?? content.traceback?.join("\n") ?? "");
      await asked.done;
      return said.join("").trim();
    };
    const all = [];
    for (const code of codes) all.push(await run(code));
    await session.restartKernel();
    for (const code of again) all.push(await run(code));
    return all;
  }, [codes, again]);
  console.log(JSON.stringify({ said, problems: page.problems }));
});
