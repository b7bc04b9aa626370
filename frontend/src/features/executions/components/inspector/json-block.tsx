import { CodeBlock } from '@/components/code-block'

type JsonBlockProps = { title: string; value: unknown; empty: string }

export function JsonBlock({ title, value, empty }: JsonBlockProps) {
  if (isEmpty(value)) return empty && <p className="p-4 text-muted-foreground">{empty}</p>
  return (
    <div className="p-4">
      <CodeBlock title={title} text={JSON.stringify(value, null, 2)} />
    </div>
  )
}

function isEmpty(value: unknown): boolean {
  if (value === null || value === undefined) return true
  return typeof value === 'object' && Object.keys(value).length === 0
}
