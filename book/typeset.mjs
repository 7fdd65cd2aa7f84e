// Typeset formulas as MathJax would in the reader's browser: node typeset.mjs < [{tex, display}] > {formulas: [html], styles}
// The glyphs of all formulas go into one <svg> of definitions a page; each formula carries MathML for those who listen.
import { createRequire } from "node:module";

let text = "";
for await (const chunk of process.stdin) text += chunk;
const pages = JSON.parse(text);

const MathJax = await createRequire(import.meta.url)("mathjax").init({
  loader: { load: ["input/tex-full", "output/svg", "adaptors/liteDOM", "a11y/assistive-mml"] },
  tex: { formatError: (_, error) => { throw new Error(error.message); } },
  svg: { fontCache: "global" },
});
const { adaptor, output } = MathJax.startup;

const typeset = (formulas) => {
  output.fontCache.clearCache();
  output.fontCache.clearLocalID();
  const html = formulas.map(({ tex, display }) => {
    const drawn = MathJax.tex2svg(tex, { display });
    if (display) adaptor.setAttribute(drawn, "tabindex", "0"); // a wide one scrolls, by keyboard too
    return adaptor.outerHTML(drawn);
  });
  const glyphs = adaptor.outerHTML(output.fontCache.getCache());
  return { html, glyphs };
};
console.log(JSON.stringify({ pages: pages.map(typeset), styles: adaptor.textContent(MathJax.svgStylesheet()) }));
