const CODE_OR_TEXT = /`([^`]+)`|[^`]+|`/g

/** A sentence of the server; what stands in `backticks` is code. */
export function Prose({ text }: { text: string }) {
  return [...text.matchAll(CODE_OR_TEXT)].map(({ 0: part, 1: code, index }) =>
    code === undefined ? (
      part
    ) : (
      <code key={index} className="mono rounded-sm bg-muted px-1 text-small">
        {code}
      </code>
    ),
  )
}
