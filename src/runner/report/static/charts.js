// Draws the figures of the page with plotly, which is unpacked when the first chart comes near; follows light and dark.
"use strict";
(() => {
  const PAPER = 600; // pixels, of a chart on an A4 page
  const plots = [...document.querySelectorAll(".plot")];
  if (!plots.length) return;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const light = ["#2f6fdb", "#d9730d", "#12967f", "#b8407c", "#7a5fd0", "#8a8f1c", "#c0392b", "#2a91b8", "#8d6e4c", "#6b7785"];
  const sources = {};
  const read = (id) => (sources[id] ??= JSON.parse(document.getElementById(id).textContent));
  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  let library = null;

  const unpack = () =>
    (library ??= (async () => {
      const packed = Uint8Array.from(atob(document.getElementById("plotly").textContent), (sign) => sign.charCodeAt(0));
      const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
      const script = document.createElement("script");
      script.textContent = await new Response(stream).text();
      document.head.append(script);
    })());

  const themed = (figure) => {
    let text = JSON.stringify(figure);
    light.forEach((color, number) => (text = text.replaceAll(color, style(`--c${number}`))));
    text = text.replaceAll("#5b6570", style("--soft"));
    const made = JSON.parse(text);
    const axis = { gridcolor: style("--line"), linecolor: style("--line"), tickcolor: style("--line"), fixedrange: true };
    const layout = { ...made.layout, dragmode: false, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", autosize: true };
    layout.font = { family: getComputedStyle(document.body).fontFamily, size: 12, color: style("--text"), ...layout.font };
    layout.hoverlabel = { bgcolor: style("--card"), bordercolor: style("--line"), font: { color: style("--text") } };
    layout.xaxis ??= {};
    layout.yaxis ??= {};
    for (const name of Object.keys(layout)) if (/^[xy]axis\d*$/.test(name)) layout[name] = { ...axis, ...layout[name] };
    return { data: made.data, layout };
  };

  const draw = (plot, width) => {
    const { data, layout } = themed(read(plot.dataset.source)[Number(plot.dataset.index)]);
    if (width) Object.assign(layout, { width, autosize: false });
    const config = { responsive: true, displaylogo: false, modeBarButtons: [["toImage"]] };
    window.Plotly.react(plot, data, layout, config);
    plot.dataset.drawn = "yes";
  };
  const drawNear = async (plot) => {
    await unpack();
    draw(plot);
  };

  const watcher = new IntersectionObserver(
    (entries) => {
      for (const entry of entries)
        if (entry.isIntersecting) {
          watcher.unobserve(entry.target);
          drawNear(entry.target);
        }
    },
    { rootMargin: "600px" },
  );
  plots.forEach((plot) => watcher.observe(plot));
  dark.addEventListener("change", () => plots.filter((plot) => plot.dataset.drawn).forEach((plot) => draw(plot)));
  // Paper needs all charts, and those in light colours; plotly is there by then, if only because of this idle call.
  (window.requestIdleCallback ?? setTimeout)(unpack);
  addEventListener("beforeprint", () => {
    if (window.Plotly) plots.forEach((plot) => draw(plot, PAPER));
  });
  addEventListener("afterprint", () => {
    plots.filter((plot) => plot.dataset.drawn).forEach((plot) => draw(plot));
  });
})();
