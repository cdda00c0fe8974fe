// Runs in a sandboxed frame with an opaque origin, because figures come from training code. Communicates with the page by messages only.
(() => {
  // Trace types of the small bundle; any other loads the large one.
  const SMALL = new Set(["bar", "box", "contour", "heatmap", "histogram", "histogram2d", "histogram2dcontour", "image", "pie", "scatter", "scatterternary", "violin"]);
  const MOST_CLASSES = 24;
  const LONGEST_MS = 15_000;
  const MOST_SVG_POINTS = 50_000;
  // Bins of a histogram by its type: the library makes as many as a figure asks for.
  const MOST_BINS = { histogram: 2_000, histogram2d: 300, histogram2dcontour: 300 };
  const FEW_BINS = 100;
  // It takes their width from the squares of the values; of others nothing or infinity is left, and it makes bins without end.
  const SQUARED = [1e-150, 1e150];
  const GREATEST = 1e304; // it leaves out what is greater
  const VIEWS = { f8: Float64Array, f4: Float32Array, i4: Int32Array, u4: Uint32Array, i2: Int16Array, u2: Uint16Array, i1: Int8Array, u1: Uint8Array };
  const root = document.getElementById("figures");
  const script = document.currentScript;
  let large = null;
  let theme = {};
  const known = new Map();

  const tell = (message) => parent.postMessage(message, "*");
  const sayHeight = () => tell({ kind: "height", height: Math.ceil(root.getBoundingClientRect().height) });
  new ResizeObserver(sayHeight).observe(root);

  const near = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) {
        if (!entry.isIntersecting) continue;
        near.unobserve(entry.target);
        void draw(entry.target.dataset.id);
      }
    },
    { rootMargin: "300px" },
  );

  // Plotly throws asynchronously for invalid figures: show the error in place of the figure.
  for (const kind of ["error", "unhandledrejection"]) addEventListener(kind, (event) => event.preventDefault());

  addEventListener("message", (event) => {
    if (event.source !== parent) return;
    const { kind } = event.data ?? {};
    if (kind === "theme") setTheme(event.data.theme);
    else if (kind === "figures") show(event.data.figures);
  });

  function setTheme(next) {
    theme = next;
    for (const [name, value] of Object.entries(theme)) document.documentElement.style.setProperty(`--${name}`, value);
    for (const [id, one] of known) if (one.drawn) void draw(id);
  }

  function show(figures) {
    const wanted = new Set(figures.map((figure) => figure.id));
    for (const [id, one] of known) {
      if (wanted.has(id)) continue;
      window.Plotly?.purge(one.plot);
      one.element.remove();
      known.delete(id);
    }
    figures.forEach((figure, place) => {
      let one = known.get(figure.id);
      if (!one) {
        one = build(figure);
        known.set(figure.id, one);
      }
      const changed = one.figure.text !== figure.text;
      one.figure = figure;
      one.step.textContent = `step ${figure.iter.toLocaleString("en-US")}`;
      one.slider.min = figure.min;
      one.slider.max = figure.max;
      one.slider.value = figure.iter;
      one.slider.disabled = one.earlier.disabled = figure.min >= figure.max || figure.iter <= figure.min;
      one.slider.disabled = figure.min >= figure.max;
      one.later.disabled = figure.iter >= figure.max;
      one.controls.hidden = figure.min >= figure.max;
      if (root.children[place] !== one.element) root.insertBefore(one.element, root.children[place] ?? null);
      if (changed && one.drawn) void draw(figure.id);
    });
  }

  function build(figure) {
    const element = document.createElement("figure");
    element.dataset.id = figure.id;
    const caption = document.createElement("figcaption");
    const title = document.createElement("b");
    title.textContent = title.title = figure.title;
    const step = document.createElement("span");
    const controls = document.createElement("span");
    const button = (text, label, direction) => {
      const made = document.createElement("button");
      made.type = "button";
      made.textContent = text;
      made.setAttribute("aria-label", label);
      made.addEventListener("click", () => tell({ kind: "step", id: figure.id, direction }));
      return made;
    };
    const slider = document.createElement("input");
    slider.type = "range";
    slider.setAttribute("aria-label", `Step of ${figure.title}`);
    slider.addEventListener("change", () => tell({ kind: "step", id: figure.id, iteration: Number(slider.value) }));
    const earlier = button("◀", "Earlier step", "earlier");
    const later = button("▶", "Later step", "later");
    controls.append(earlier, " ", slider, " ", later);
    caption.append(title, step, controls);
    const plot = document.createElement("div");
    plot.className = "plot";
    const note = document.createElement("p");
    note.className = "note";
    element.append(caption, plot, note);
    near.observe(element);
    return { element, plot, note, step, slider, earlier, later, controls, figure: { text: null }, drawn: false };
  }

  async function draw(id) {
    const one = known.get(id);
    if (!one) return;
    one.drawn = true;
    one.note.textContent = "";
    try {
      const { data, layout } = parsed(one.figure);
      one.note.textContent = limitBins(data);
      if (data.some((trace) => !SMALL.has(trace.type ?? "scatter"))) await loadLarge();
      await Promise.race([window.Plotly.react(one.plot, data, styled(layout, data), { responsive: true, displaylogo: false, showSendToCloud: false }), overdue()]);
      tell({ kind: "drawn", id });
    } catch (error) {
      window.Plotly?.purge(one.plot);
      one.plot.textContent = `This figure can't be drawn: ${error.message ?? error}`;
      one.plot.classList.add("refused");
      tell({ kind: "failed", id });
    }
  }

  /** For some invalid figures Plotly never finishes. */
  const overdue = () => new Promise((_, reject) => setTimeout(() => reject(new Error(`drawing took more than ${LONGEST_MS / 1000} s`)), LONGEST_MS));

  function parsed(figure) {
    if (figure.problem) throw new Error(figure.problem);
    const made = JSON.parse(figure.text);
    if (!Array.isArray(made?.data)) throw new Error("it has no list of traces");
    made.data = made.data.filter((trace) => typeof trace === "object" && trace !== null);
    for (const trace of made.data) {
      const points = Math.max(...[trace.x, trace.y].map((one) => (Array.isArray(one) ? one.length : 0)));
      if (trace.type === "scattergl" && points <= MOST_SVG_POINTS) trace.type = "scatter";
      else if ((trace.type ?? "scatter") === "scatter" && points > MOST_SVG_POINTS) trace.type = "scattergl"; // an SVG element per point would freeze the page
    }
    const layout = made.layout ?? {};
    (Array.isArray(layout.images) ? layout.images : []).forEach((image, place) => {
      const blob = figure.images?.[place];
      image.source = blob ? URL.createObjectURL(blob) : /^data:image\//.test(image.source ?? "") ? image.source : "";
    });
    return { data: made.data, layout };
  }

  // Gives histograms a number of bins that can be drawn; what was changed, in words.
  function limitBins(data) {
    const said = [];
    const histograms = data.filter((trace) => Object.hasOwn(MOST_BINS, trace.type));
    for (const trace of histograms) {
      const most = MOST_BINS[trace.type];
      for (const letter of ["x", "y"]) {
        const axisOf = (one) => one[`${letter}axis`] ?? letter;
        const { low, high, count } = extent(histograms.filter((one) => axisOf(one) === axisOf(trace)), letter);
        if (!(high > low)) continue;
        const { start, end, size } = trace[`${letter}bins`] ?? {};
        const reach = Math.max(high, numberOf(end) || high) - Math.min(low, numberOf(start) || low);
        const known = numberOf(size) > 0 ? reach / numberOf(size) : (trace[`nbins${letter}`] > 0 ? trace[`nbins${letter}`] : FEW_BINS) * (reach / (high - low));
        if (known > most) {
          const many = known < 1e9 ? Math.round(known).toLocaleString("en-US") : known.toExponential(0);
          said.push(`About ${many} bins along ${letter} are too many; drawn are up to ${FEW_BINS}.`);
          trace[`${letter}bins`] = undefined;
          trace[`nbins${letter}`] = FEW_BINS;
        } else if (size === undefined && !(trace[`nbins${letter}`] > 0) && !(reach > SQUARED[0] && reach < SQUARED[1])) {
          trace[`nbins${letter}`] = Math.min(FEW_BINS, Math.ceil(2 * count ** 0.4));
        }
      }
    }
    return said.join(" ");
  }

  // The numbers (of dates: ms) of all traces along an axis.
  function extent(traces, letter) {
    const found = { low: Infinity, high: -Infinity, count: 0 };
    for (const trace of traces) {
      for (const value of listed(trace[letter])) {
        const one = numberOf(value);
        if (!(Math.abs(one) < GREATEST)) continue;
        found.count++;
        if (one < found.low) found.low = one;
        if (one > found.high) found.high = one;
      }
    }
    return found;
  }

  function numberOf(value) {
    if (typeof value === "number") return value;
    if (typeof value !== "string" || !value.trim()) return NaN;
    return /^\d{4}-\d/.test(value) ? Date.parse(value) : Number(value);
  }

  // A list as the figure has it, or as bytes in base64.
  function listed(values) {
    if (Array.isArray(values)) return values;
    const View = VIEWS[values?.dtype];
    if (!View || typeof values.bdata !== "string") return [];
    try {
      const bytes = Uint8Array.from(atob(values.bdata), (sign) => sign.charCodeAt(0));
      return new View(bytes.buffer, 0, Math.floor(bytes.length / View.BYTES_PER_ELEMENT));
    } catch {
      return []; // no base64: the library says what it makes of it
    }
  }

  // A confusion matrix labels every class if there is room.
  function everyTick(data, name) {
    const [matrix] = data;
    const names = matrix?.type === "heatmap" ? matrix[name] : undefined;
    return Array.isArray(names) && names.length > 1 && names.length <= MOST_CLASSES ? { tickmode: "array", tickvals: names } : {};
  }

  function styled(layout, data) {
    const axes = Object.fromEntries(
      Object.keys({ xaxis: 1, yaxis: 1, ...layout })
        .filter((name) => /^[xy]axis\d*$/.test(name))
        .map((name) => [name, { gridcolor: theme.line, zerolinecolor: theme.line, linecolor: theme.line, automargin: true, ...everyTick(data, name[0]), ...layout[name] }]),
    );
    return {
      ...layout,
      ...axes,
      width: undefined,
      height: undefined,
      autosize: true,
      margin: { l: 50, r: 20, t: layout.title ? 46 : 20, b: 40, ...layout.margin },
      paper_bgcolor: theme.bg,
      plot_bgcolor: theme.bg,
      font: { ...layout.font, color: theme.fg, family: "system-ui, DejaVu Sans, sans-serif" },
    };
  }

  function loadLarge() {
    large ??= new Promise((resolve, reject) => {
      const element = document.createElement("script");
      element.src = new URL("../vendor/plotly-strict.js", script.src).href;
      element.onload = resolve;
      element.onerror = () => reject(new Error("the library for this kind of figure could not be loaded"));
      document.head.append(element);
    });
    return large;
  }

  tell({ kind: "ready" });
})();
