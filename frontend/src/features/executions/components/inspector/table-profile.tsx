import { useQuery } from '@tanstack/react-query'
import { ErrorPanel } from '@/components/feedback'
import { SkeletonRows } from '@/components/ui/skeleton'
import { profileQuery } from '@/features/executions/api'
import type { Schemas } from '@/lib/api'
import { formatCount, formatPercent } from '@/lib/format'

type ColumnProfile = Schemas['ColumnProfile']

/** What is in each column: type, nulls, distinct values, range and how the values spread. */
export function TableProfile({ artifactId }: { artifactId: string }) {
  const profile = useQuery(profileQuery(artifactId))
  if (profile.isPending) return <SkeletonRows rows={5} label="Loading the columns" />
  if (profile.error) {
    return (
      <ErrorPanel error={profile.error} what="The profile" onRetry={() => void profile.refetch()} />
    )
  }
  return (
    <ul className="divide-y divide-border-soft">
      {profile.data.columns.map((column) => (
        <li key={column.name} className="flex items-center gap-3 px-4 py-2">
          <div className="min-w-0 flex-1">
            <p className="truncate">
              <span className="mono font-semibold">{column.name}</span>{' '}
              <span className="text-small text-muted-foreground">{column.type.toLowerCase()}</span>
            </p>
            <p className="wrap-text text-small text-muted-foreground">
              {facts(column, profile.data.rows).join(', ')}
            </p>
          </div>
          <Histogram column={column} />
        </li>
      ))}
    </ul>
  )
}

function facts(column: ColumnProfile, rows: number): string[] {
  const known = (value: unknown) => value !== null && value !== undefined
  return [
    column.nulls === 0 || rows === 0
      ? 'no nulls'
      : `${formatCount(column.nulls)} nulls (${formatPercent((100 * column.nulls) / rows)})`,
    ...(column.distinct == null ? [] : [`about ${formatCount(column.distinct)} distinct`]),
    ...(known(column.min) && known(column.max) ? [`${column.min} to ${column.max}`] : []),
    ...(column.mean == null ? [] : [`mean ${Number(column.mean.toPrecision(4))}`]),
  ]
}

const WIDTH = 120
const HEIGHT = 30

function Histogram({ column }: { column: ColumnProfile }) {
  const buckets = column.histogram.map((bucket) => ({
    count: Number(bucket.count ?? 0),
    label: 'value' in bucket ? String(bucket.value) : `${bucket.from} to ${bucket.to}`,
  }))
  if (buckets.length === 0) return null
  const most = Math.max(1, ...buckets.map(({ count }) => count))
  const step = WIDTH / buckets.length
  return (
    <svg
      width={WIDTH}
      height={HEIGHT}
      role="img"
      aria-label={`${column.name}: ${buckets.map(({ label, count }) => `${label}: ${count}`).join('; ')}`}
      className="shrink-0 text-state-queued"
    >
      {buckets.map(({ count, label }, position) => {
        const height = Math.max(1, (count / most) * HEIGHT)
        return (
          <rect
            key={label}
            x={position * step}
            y={HEIGHT - height}
            width={Math.max(1, step - 1.5)}
            height={height}
            rx={1}
            fill="currentColor"
          >
            <title>{`${label}: ${formatCount(count)}`}</title>
          </rect>
        )
      })}
    </svg>
  )
}
