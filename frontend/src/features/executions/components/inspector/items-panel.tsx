import { useInfiniteQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { EmptyState, ErrorPanel } from '@/components/feedback'
import { LoadMore } from '@/components/load-more'
import { StateBadge } from '@/components/state-badge'
import { Select } from '@/components/ui/field'
import { SkeletonRows } from '@/components/ui/skeleton'
import { itemsQuery } from '@/features/executions/api'
import type { Schemas } from '@/lib/api'
import { formatDuration } from '@/lib/format'
import { appearance, type StageStatus } from '@/lib/status'

type ItemsPanelProps = {
  executionId: string
  run: Schemas['StageRunBody']
  onOpen: (index: number) => void
}

/** The items of a foreach stage: how many are in which state, and each of them on demand. */
export function ItemsPanel({ executionId, run, onOpen }: ItemsPanelProps) {
  const [status, setStatus] = useState<StageStatus | null>(null)
  const items = useInfiniteQuery(itemsQuery(executionId, run.stage, status))
  const states = Object.entries(run.items?.states ?? {}) as [StageStatus, number][]
  const shown = items.data?.pages.flatMap((page) => page.items) ?? []
  return (
    <div className="flex flex-col">
      <div className="flex flex-wrap items-center gap-3 border-b border-border-soft px-4 py-2.5">
        <Select
          aria-label="State of the items"
          className="w-[170px]"
          value={status ?? ''}
          onChange={(event) => setStatus((event.target.value || null) as StageStatus | null)}
        >
          <option value="">All items</option>
          {states.map(([state, count]) => (
            <option key={state} value={state}>
              {appearance(state).word} ({count.toLocaleString('en')})
            </option>
          ))}
        </Select>
      </div>
      {items.isPending && <SkeletonRows rows={6} label="Loading the items" />}
      {items.error && (
        <ErrorPanel error={items.error} what="The items" onRetry={() => void items.refetch()} />
      )}
      {items.data && shown.length === 0 && <EmptyState icon="dots" title="No item is here" />}
      <ul>
        {shown.map((item) => (
          <li
            key={item.index}
            className="relative flex flex-wrap items-center gap-x-3 gap-y-1 border-b border-border-soft px-4 py-2 text-small hover:bg-muted"
          >
            <button
              type="button"
              aria-label={`Open item ${item.index}`}
              onClick={() => onOpen(item.index)}
              className="cover-row w-14 py-0.5 text-right text-link tabular-nums hover:underline"
            >
              {item.index}
            </button>
            <StateBadge status={item.status} />
            <code className="mono wrap-text min-w-0 flex-1">{shortly(item.item)}</code>
            <span className="text-muted-foreground">
              {item.attempt > 1 && `attempt ${item.attempt}, `}
              {item.duration_seconds !== null && formatDuration(item.duration_seconds)}
            </span>
            {(item.error?.message ?? item.reason) && (
              <p className="mono wrap-text w-full pl-[68px] text-state-failed">
                {item.error?.message ?? item.reason}
              </p>
            )}
          </li>
        ))}
      </ul>
      <LoadMore
        hasMore={items.hasNextPage}
        loading={items.isFetchingNextPage}
        onLoad={() => void items.fetchNextPage()}
      />
    </div>
  )
}

const LONGEST = 160

function shortly(item: unknown): string {
  const text = typeof item === 'string' ? item : JSON.stringify(item)
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text
}
