// What scrolls sideways can be reached by keyboard; what does not is no stop on the way.
function reach() {
  for (const node of document.querySelectorAll(".bd-article :is(pre, .output, .text_html > div, a.image-reference, div.math, .pst-scrollable-table-container)")) {
    node.classList.remove("scrolls"); // the style sheet gives what scrolls more room: measure without
    const scrolls = node.scrollWidth > node.clientWidth + 1 && getComputedStyle(node).overflowX !== "visible";
    node.classList.toggle("scrolls", scrolls);
    if (scrolls) node.tabIndex = 0;
    else node.removeAttribute("tabindex");
  }
}
addEventListener("load", reach);
addEventListener("resize", () => requestAnimationFrame(reach));
document.addEventListener("toggle", reach, true);
