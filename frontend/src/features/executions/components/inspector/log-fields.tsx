import type { Schemas } from '@/lib/api'

const LONGEST_INLINE = 120

/** What a line tells beside its sentence: short values behind it, long ones folded. */
export function LogFields({ fields }: { fields: Schemas['LogLine']['fields'] }) {
  const entries = Object.entries(fields ?? {})
    .filter(([, value]) => value !== null && value !== '')
    .map(([name, value]) => ({ name, text: asText(value) }))
  const short = entries.filter(({ text }) => isShort(text))
  const long = entries.filter(({ text }) => !isShort(text))
  return (
    <>
      {short.map(({ name, text }) => (
        <span key={name}>
          {' '}
          <span className="text-muted-foreground">{name}=</span>
          {text}
        </span>
      ))}
      {long.map(({ name, text }) => (
        <details key={name}>
          <summary className="font-sans text-tiny text-secondary-foreground">{name}</summary>
          <pre className="mono overflow-x-auto rounded-sm bg-muted px-2 py-1 text-foreground">
            {text}
          </pre>
        </details>
      ))}
    </>
  )
}

function asText(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}

function isShort(text: string): boolean {
  return text.length <= LONGEST_INLINE && !text.includes('\n')
}
