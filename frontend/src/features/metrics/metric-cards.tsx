import { useQuery } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { ErrorPanel } from '@/components/feedback'
import { Card } from '@/components/ui/card'
import { Skeleton } from '@/components/ui/skeleton'
import { metricsHistoryQuery, metricsQuery } from '@/features/metrics/api'
import { change, sparkline, successRate } from '@/features/metrics/model'
import type { Schemas } from '@/lib/api'
import { cn } from '@/lib/cn'
import { formatCount, formatDuration, formatPercent, plural } from '@/lib/format'

type Metrics = Schemas['MetricsBody']
type Bucket = Schemas['MetricsBucket']

export function MetricCards() {
  const metrics = useQuery(metricsQuery)
  // The chart below starts with the same range.
  const history = useQuery(metricsHistoryQuery('24h'))
  if (metrics.error && !metrics.data) {
    return (
      <Card className="mb-3.5">
        <ErrorPanel
          error={metrics.error}
          what="The metrics"
          onRetry={() => void metrics.refetch()}
        />
      </Card>
    )
  }
  return (
    <section
      aria-label="Metrics"
      className="mb-3.5 grid grid-cols-4 gap-3.5 max-desktop:grid-cols-2 max-tablet:gap-[9px]"
    >
      {CARDS.map(({ name, figure, detail, course, moving }) => (
        <MetricCard
          key={name}
          name={name}
          figure={metrics.data && figure(metrics.data)}
          detail={metrics.data && detail(metrics.data)}
          values={course && history.data ? history.data.buckets.map(course) : NO_VALUES}
          moving={moving ?? false}
        />
      ))}
    </section>
  )
}

type CardContent = {
  name: string
  figure: (metrics: Metrics) => string
  detail: (metrics: Metrics) => ReactNode
  /** What the small line shows of each half hour; left out where there is nothing to show. */
  course?: (bucket: Bucket) => number | null
  /** Of what moves now, rather than of what has ended. */
  moving?: boolean
}

const NO_VALUES: (number | null)[] = []

const NOTHING = 'No runs'

const CARDS: CardContent[] = [
  {
    name: 'Total pipelines',
    figure: (metrics) => formatCount(metrics.total_pipelines),
    detail: ({ enabled_pipelines, total_pipelines }) =>
      enabled_pipelines === total_pipelines
        ? 'all enabled'
        : `${enabled_pipelines} enabled, ${total_pipelines - enabled_pipelines} paused`,
  },
  {
    name: 'Active executions',
    figure: (metrics) => formatCount(metrics.active_executions),
    detail: ({ queued_executions }) =>
      queued_executions > 0 ? `${formatCount(queued_executions)} queued` : 'none queued',
    course: ({ started }) => started,
    moving: true,
  },
  {
    name: 'Success rate, 24 h',
    figure: ({ success_rate }) => (success_rate === null ? NOTHING : formatPercent(success_rate)),
    detail: (metrics) => {
      const points = change(metrics.success_rate, metrics.previous_success_rate)
      if (points === null) return `of ${plural(metrics.executions_24h, 'execution')}`
      return (
        <>
          <Change good={points >= 0} zero={Math.abs(points) < 0.05}>
            {signed(points)} points
          </Change>{' '}
          vs the day before
        </>
      )
    },
    course: successRate,
  },
  {
    name: 'Avg. duration, 24 h',
    figure: ({ avg_duration }) => (avg_duration === null ? NOTHING : formatDuration(avg_duration)),
    detail: (metrics) => {
      const seconds = change(metrics.avg_duration, metrics.previous_avg_duration)
      const percent =
        seconds === null || !metrics.previous_avg_duration
          ? null
          : (100 * seconds) / metrics.previous_avg_duration
      return (
        <>
          {metrics.p95_duration !== null && `p95 ${formatDuration(metrics.p95_duration)}`}
          {metrics.p95_duration !== null && percent !== null && ', '}
          {percent !== null && (
            <Change good={percent <= 0} zero={Math.abs(percent) < 0.5}>
              {signed(percent, 0)}%
            </Change>
          )}
        </>
      )
    },
    course: ({ avg_duration }) => avg_duration,
  },
]

function signed(value: number, digits = 1): string {
  const text = Math.abs(value).toFixed(digits)
  return value < 0 ? `−${text}` : `+${text}`
}

function Change({ good, zero, children }: { good: boolean; zero: boolean; children: ReactNode }) {
  return (
    <span
      className={cn(
        !zero && 'font-semibold',
        !zero && (good ? 'text-state-success' : 'text-state-failed'),
      )}
    >
      {children}
    </span>
  )
}

type MetricCardProps = {
  name: string
  figure: string | undefined
  detail: ReactNode
  values: (number | null)[]
  moving: boolean
}

function MetricCard({ name, figure, detail, values, moving }: MetricCardProps) {
  return (
    <Card className="relative px-4 pt-[13px] pb-[11px]" aria-label={name}>
      <Sparkline values={values} moving={moving} />
      <p className="text-[12.5px] font-medium text-secondary-foreground">{name}</p>
      {figure === undefined ? (
        <Skeleton className="mt-1.5 h-[25px] w-20" />
      ) : (
        <p className="mt-[3px] text-figure leading-[1.15] font-semibold tracking-[-0.022em] max-tablet:text-[22px]">
          {figure}
        </p>
      )}
      <p className="mt-[3px] min-h-[18px] text-small text-muted-foreground">{detail}</p>
    </Card>
  )
}

const LINE_WIDTH = 88
const LINE_HEIGHT = 28

/** How it went over the day; the chart below says it in figures. */
function Sparkline({ values, moving }: { values: (number | null)[]; moving: boolean }) {
  const points = sparkline(values, LINE_WIDTH, LINE_HEIGHT)
  const last = points.at(-1)
  if (!last) return null
  const colour = moving ? 'var(--color-state-running)' : 'var(--color-muted-foreground)'
  return (
    <svg
      aria-hidden="true"
      width={LINE_WIDTH}
      height={LINE_HEIGHT}
      className="absolute top-[17px] right-4 overflow-visible max-tablet:hidden"
    >
      <polyline
        points={points.map(({ x, y }) => `${x.toFixed(1)},${y.toFixed(1)}`).join(' ')}
        fill="none"
        stroke={colour}
        strokeWidth={1.5}
        strokeLinejoin="round"
      />
      <circle cx={last.x} cy={last.y} r={2.4} fill={colour} />
    </svg>
  )
}
