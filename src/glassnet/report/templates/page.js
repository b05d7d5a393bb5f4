"use strict";
// Unpacks plotly.js, draws every figure in the colours of the present scheme, and redraws them for paper.
(async () => {
  const root = document.documentElement;
  const told = (id) => document.getElementById(id).textContent;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const touch = matchMedia("(pointer: coarse)").matches;
  const twins = JSON.parse(told("twins"));
  const figures = [...document.querySelectorAll("script[data-plot]")].map((script) => ({
    node: document.getElementById(script.dataset.plot),
    json: script.textContent,
  }));
  let paper = false; // while the page is printed: light colours

  // Colours are written for light paper; on a dark screen each becomes its twin (with its opacity, if any).
  const twin = (key, value) => {
    if (typeof value !== "string" || value[0] !== "#") return value;
    return (twins[value] || (twins[value.slice(0, 7)] || value.slice(0, 7)) + value.slice(7));
  };
  const parse = (json) => JSON.parse(json, dark.matches && !paper ? twin : undefined);

  const draw = ({ node, json }) => {
    const { data, layout } = parse(json);
    if (!node.dataset.drawn) node.textContent = "";
    layout.template = parse(told("template"));
    layout.autosize = true;
    if (touch) layout.dragmode = false; // a finger scrolls the page
    if (node.clientWidth < 480) {
      for (const trace of data) if (trace.type === "heatmap") trace.showscale = false;
      const { tickvals, ticktext } = layout.xaxis;
      const step = Math.ceil((tickvals || []).length / 12); // names that fit along a narrow side
      if (step > 1) {
        layout.xaxis.tickvals = tickvals.filter((_, i) => i % step === 0);
        layout.xaxis.ticktext = ticktext.filter((_, i) => i % step === 0);
      }
    }
    const config = {
      responsive: true,
      displaylogo: false,
      showSendToCloud: false,
      displayModeBar: touch ? false : "hover",
      modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
      toImageButtonOptions: { format: "svg", filename: node.id },
    };
    node.dataset.drawn = "yes";
    return Plotly.react(node, data, layout, config);
  };

  try {
    const packed = Uint8Array.from(atob(told("plotly")), (c) => c.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
    const script = document.createElement("script");
    script.textContent = await new Response(stream).text();
    document.head.append(script);
  } catch (error) {
    root.dataset.figures = "failed"; // each figure keeps its description in words
    throw error;
  }
  for (const figure of figures) {
    await draw(figure);
    await new Promise((next) => setTimeout(next)); // let the reader scroll meanwhile
  }
  root.dataset.figures = "drawn";

  dark.addEventListener("change", () => figures.forEach(draw));
  const printing = (now) => {
    paper = now;
    root.classList.toggle("paper", now); // the width of paper, so that figures measure it
    for (const fold of document.querySelectorAll("details")) {
      if (now) fold.dataset.was = fold.open ? "open" : "";
      fold.open = now || fold.dataset.was === "open";
    }
    figures.forEach(draw);
  };
  addEventListener("beforeprint", () => printing(true));
  addEventListener("afterprint", () => printing(false));
})();
