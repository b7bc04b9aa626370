import { cn } from '@/lib/cn'
import { type DiffLine, diffLines } from '@/lib/diff'

const LOOKS: Record<DiffLine['kind'], string> = {
  added: 'bg-state-success-tint text-state-success',
  removed: 'bg-state-failed-tint text-state-failed',
  same: '',
  place: 'text-muted-foreground',
}

/** A unified diff of a definition. */
export function DiffBlock({ diff }: { diff: string }) {
  return (
    <pre
      tabIndex={0}
      aria-label="The change"
      className="mono max-h-[360px] overflow-auto rounded-md border border-border py-2 text-small leading-[1.7] -outline-offset-2"
    >
      <code className="block w-max min-w-full">
        {diffLines(diff).map(({ number, kind, text }) => (
          <span key={number} className={cn('block px-3', LOOKS[kind])}>
            {text || ' '}
          </span>
        ))}
      </code>
    </pre>
  )
}
