/** Changes to the text of a definition, as values. */

/** The offset of a line and column, both counted from 1, within the text. */
export function offsetOf(text: string, line: number, column: number): number {
  const lines = text.split('\n')
  const before = lines.slice(0, line - 1).reduce((sum, each) => sum + each.length + 1, 0)
  const length = lines[line - 1]?.length ?? 0
  return Math.min(text.length, before + Math.min(Math.max(0, column - 1), length))
}

/** What Enter inserts at `offset`: a line break, and the indentation that YAML goes on with. */
export function lineBreakAt(text: string, offset: number): string {
  const line = text.slice(text.lastIndexOf('\n', offset - 1) + 1, offset)
  const indent = /^ */.exec(line)?.[0] ?? ''
  const deeper = /:\s*$/.test(line) ? '  ' : ''
  // What belongs to a list item stands below its text, not below its dash.
  const item = /^ *- \S/.test(line) ? '  ' : ''
  return `\n${indent}${item}${deeper}`
}
