// Draws the page's figures with plotly, which is unpacked when the first chart comes into view; follows light and dark.
"use strict";
(() => {
  const PAPER = 640, PAPER_SCALE = 0.72; // width in pixels of a chart on an A4 page; its height there as a share of that on screen
  const LOW = 300; // height in pixels of a chart that is not reduced for paper
  const NARROW = 460; // width in pixels below which there is no room for names beside points
  const plots = [...document.querySelectorAll(".plot")];
  if (!plots.length) return;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const light = ["#2f6fdb", "#d9730d", "#12967f", "#b8407c", "#7a5fd0", "#8a8f1c", "#c0392b", "#2a91b8", "#8d6e4c", "#6b7785"];
  const pointer = matchMedia("(hover: hover)");
  const language = document.documentElement.lang || "en";
  const told = document.querySelector("[data-save]")?.dataset.save;
  const words = { locale: language, locales: { [language]: { dictionary: { "Download plot as a PNG": told, "Download plot as a png": told } } } };
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

  // Names of points go into a legend under the chart.
  const narrow = (data, layout) => {
    const named = data.filter((trace) => trace.mode === "markers+text");
    if (!named.length) return;
    for (const trace of named) Object.assign(trace, { mode: "markers", showlegend: true });
    Object.assign(layout, { showlegend: true, legend: { orientation: "h", y: -0.25 } });
  };

  const draw = (plot, width) => {
    const { data, layout } = themed(read(plot.dataset.source)[Number(plot.dataset.index)]);
    if (width) {
      // Charts with named rows keep their height. Charts wider than the paper are drawn at full size and scaled down.
      const height = layout.height ?? 360, rows = data.some((trace) => ["heatmap", "bar"].includes(trace.type));
      const needed = Math.max(width, parseFloat(plot.style.minWidth) || 0);
      Object.assign(layout, { width: needed, height: height > LOW && !rows ? PAPER_SCALE * height : height, autosize: false });
      plot.style.zoom = width / needed;
      if (layout.legend?.y < 0) layout.legend = { ...layout.legend, y: 1.5 * layout.legend.y };
    }
    // Touch screens have no hover, so the button would cover the chart permanently.
    const config = { responsive: true, displaylogo: false, displayModeBar: pointer.matches ? "hover" : false, ...words };
    config.modeBarButtons = [["toImage"]];
    if (!width) plot.style.zoom = "";
    if (plot.clientWidth < NARROW && !width) narrow(data, layout);
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
  // Printing needs all charts, in light colours. This idle call makes sure that plotly has been unpacked by then.
  (window.requestIdleCallback ?? setTimeout)(unpack);
  addEventListener("beforeprint", () => {
    if (window.Plotly) plots.forEach((plot) => draw(plot, PAPER));
  });
  addEventListener("afterprint", () => {
    plots.filter((plot) => plot.dataset.drawn).forEach((plot) => draw(plot));
  });
})();
