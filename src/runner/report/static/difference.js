// The difference of a reference and an answer: parts that are equal (0), only in the reference (-1), only in the answer (1).
"use strict";
window.difference = (() => {
  const MOST_CELLS = 400000;
  const split = (text, byWord) => (byWord ? text.match(/\s+|[^\s]+/g) ?? [] : Array.from(text));

  const push = (parts, kind, text) => {
    if (!text) return;
    const last = parts[parts.length - 1];
    if (last && last[0] === kind) last[1] += text;
    else parts.push([kind, text]);
  };

  return (reference, answer) => {
    if (reference === answer) return [[0, answer]];
    const byWord = Math.max(reference.length, answer.length) > 200;
    const a = split(reference, byWord), b = split(answer, byWord);
    let start = 0, end = 0;
    while (start < a.length && start < b.length && a[start] === b[start]) start++;
    while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end++;
    const left = a.slice(start, a.length - end), right = b.slice(start, b.length - end);
    const parts = [];
    push(parts, 0, b.slice(0, start).join(""));
    const width = right.length + 1;
    if ((left.length + 1) * width > MOST_CELLS) {
      push(parts, -1, left.join(""));
      push(parts, 1, right.join(""));
    } else {
      // Longest common subsequence, from the end.
      const table = new Uint16Array((left.length + 1) * width);
      for (let i = left.length - 1; i >= 0; i--)
        for (let j = right.length - 1; j >= 0; j--)
          table[i * width + j] =
            left[i] === right[j]
              ? table[(i + 1) * width + j + 1] + 1
              : Math.max(table[(i + 1) * width + j], table[i * width + j + 1]);
      // Single letters that two different words happen to share don't count as equal parts.
      const alike = (start + end + table[0]) / Math.max(a.length, b.length, 1);
      if (alike < 0.5) return [[-1, reference], [1, answer]];
      let i = 0, j = 0;
      while (i < left.length && j < right.length) {
        if (left[i] === right[j]) {
          push(parts, 0, left[i++]);
          j++;
        }
        else if (table[(i + 1) * width + j] >= table[i * width + j + 1]) push(parts, -1, left[i++]);
        else push(parts, 1, right[j++]);
      }
      push(parts, -1, left.slice(i).join(""));
      push(parts, 1, right.slice(j).join(""));
    }
    push(parts, 0, b.slice(b.length - end).join(""));
    return parts;
  };
})();
