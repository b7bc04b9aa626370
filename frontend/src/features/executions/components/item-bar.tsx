import type { Schemas } from '@/lib/api'
import { cn } from '@/lib/cn'
import { appearance, type StageStatus, TONE_FILL } from '@/lib/status'

/** The states of a stage's items: a bar in parts, and the same in words. */
export function ItemBar({
  items,
  className,
}: {
  items: Schemas['ItemCounts']
  className?: string
}) {
  const states = Object.entries(items.states) as [StageStatus, number][]
  const words = states.map(
    ([state, count]) => `${count.toLocaleString('en')} ${appearance(state).word.toLowerCase()}`,
  )
  return (
    <div className={cn('text-small', className)}>
      <div aria-hidden className="flex h-1.5 overflow-hidden rounded-full bg-muted">
        {states.map(([state, count]) => (
          <div
            key={state}
            style={{ flexGrow: count, background: TONE_FILL[appearance(state).tone] }}
          />
        ))}
      </div>
      <p className="mt-1 text-muted-foreground">
        {items.count.toLocaleString('en')} items{words.length > 0 && `: ${words.join(', ')}`}
      </p>
    </div>
  )
}
