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
	figure.append(caption, output, most, svg);
	place.append(figure);
	/** @type {number[]} */
	const points = [];
	return (/** @type {number} */ value) => {
		points.push(Math.max(0, value));
		if (points.length > kept) points.shift();
		const top = Math.max(...points);
		const from = kept - points.length;
		const drawn = points.map((v, i) => `${from + i},${(39 - (38 * v) / (top || 1)).toFixed(1)}`);
		line.setAttribute("points", drawn.join(" "));
		area.setAttribute("points", [`${from},40`, ...drawn, `${kept - 1},40`].join(" "));
		output.textContent = show(points[points.length - 1]);
		most.textContent = `at most ${show(top)}`;
	};
}
