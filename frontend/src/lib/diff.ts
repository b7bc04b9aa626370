/** `number` counts the lines of the diff. */
export type DiffLine = {
  number: number
  kind: 'added' | 'removed' | 'same' | 'place'
  text: string
}

/** The lines of a unified diff without its two headings; `place` says where in the text the next ones are. */
export function diffLines(diff: string): DiffLine[] {
  return diff
    .replace(/\n$/, '')
    .split('\n')
    .filter((line, index) => !(index < 2 && /^(---|\+\+\+)/.test(line)))
    .map((text, index) => ({ number: index + 1, kind: kindOf(text), text }))
}

function kindOf(line: string): DiffLine['kind'] {
  if (line.startsWith('@@')) return 'place'
  if (line.startsWith('+')) return 'added'
  return line.startsWith('-') ? 'removed' : 'same'
}
