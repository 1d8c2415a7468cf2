// Charts of the last minutes, drawn as lines without any library.

const kept = 180; // points of a chart

/**
 * Makes a chart and returns what draws its next point.
 * @param {HTMLElement} place
 * @param {string} name
 * @param {(value: number) => string} show
 */
export function chart(place, name, show) {
	const figure = document.createElement("figure");
	const caption = document.createElement("figcaption");
	caption.textContent = name;
	const output = document.createElement("output");
	const most = document.createElement("small");
	const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
	svg.setAttribute("viewBox", `0 0 ${kept - 1} 40`);
	svg.setAttribute("preserveAspectRatio", "none");
	svg.setAttribute("aria-hidden", "true");
	const area = document.createElementNS("http://www.w3.org/2000/svg", "polygon");
	const line = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
	svg.append(area, line);
	const [top, bottom, begin, end] = ["", "0", "", "now"].map((text) => {
		const label = document.createElement("span");
		label.textContent = text;
		return label;
	});
	figure.append(caption, output, most, axis(top), svg, axis(bottom), axis(begin, end));
	place.append(figure);
	/** @type {number[]} */
	const points = [];
	/** @type {Date[]} */
	const times = [];
	return (/** @type {number} */ value) => {
		points.push(Math.max(0, value));
		times.push(new Date());
		if (points.length > kept) {
			points.shift();
			times.shift();
		}
		const highest = Math.max(...points);
		const from = kept - points.length;
		const drawn = points.map((v, i) => `${from + i},${(39 - (38 * v) / (highest || 1)).toFixed(1)}`);
		line.setAttribute("points", drawn.join(" "));
		area.setAttribute("points", [`${from},40`, ...drawn, `${kept - 1},40`].join(" "));
		output.textContent = show(points[points.length - 1]);
		most.textContent = `at most ${show(highest)} since ${times[0].toLocaleTimeString()}`;
		top.textContent = highest > 0 ? show(highest) : "";
		begin.textContent = new Date(Date.now() - kept * 1000).toLocaleTimeString();
	};
}

/** @param {HTMLElement[]} labels */
function axis(...labels) {
	const line = document.createElement("div");
	line.className = "axis";
	line.ariaHidden = "true"; // said by the text above
	line.append(...labels);
	return line;
}
