import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { ErrorPanel } from '@/components/feedback'
import { Button } from '@/components/ui/button'
import { Card, CardHeader } from '@/components/ui/card'
import { Segmented } from '@/components/ui/segmented'
import { Skeleton } from '@/components/ui/skeleton'
import { Table, Td, Th } from '@/components/ui/table'
import { metricsHistoryQuery, RANGES, type Range } from '@/features/metrics/api'
import { bucketName, ended, layoutRunsChart } from '@/features/metrics/model'
import { useElementSize } from '@/hooks/use-element-size'
import type { Schemas } from '@/lib/api'
import { formatClock, formatDate, formatMoment, plural } from '@/lib/format'

type History = Schemas['MetricsHistory']

/** How many runs ended when, and how; as a chart or as a table. */
export function RunsCard() {
  const [range, setRange] = useState<Range>('24h')
  const [asTable, setAsTable] = useState(false)
  const history = useQuery(metricsHistoryQuery(range))
  const name = history.data ? bucketName(history.data.bucket_seconds) : ''
  return (
    <Card aria-label="Runs over time">
      <CardHeader
        title={name ? `Runs per ${name}` : 'Runs'}
        end={
          <>
            <Button
              size="small"
              variant="ghost"
              aria-pressed={asTable}
              onClick={() => setAsTable(!asTable)}
            >
              {asTable ? 'Chart' : 'Table'}
            </Button>
            <Segmented label="Range" options={RANGES} value={range} onChange={setRange} />
          </>
        }
      >
        <Legend />
      </CardHeader>
      {history.error && !history.data && (
        <ErrorPanel
          error={history.error}
          what="The history"
          onRetry={() => void history.refetch()}
        />
      )}
      {history.isPending && <Skeleton className="m-4 h-[150px]" />}
      {history.data &&
        (asTable ? <HistoryTable history={history.data} /> : <Chart history={history.data} />)}
    </Card>
  )
}

function Legend() {
  return (
    <span className="flex gap-3 text-small">
      <span className="inline-flex items-center gap-1.5 text-state-success">
        <span aria-hidden="true" className="size-2.5 bg-current" />
        succeeded
      </span>
      <span className="inline-flex items-center gap-1.5 text-state-failed">
        <span aria-hidden="true" className="hatch-failed size-2.5 border border-current" />
        failed
      </span>
    </span>
  )
}

const PLOT_HEIGHT = 150
const LABEL_HEIGHT = 18
const AXIS_WIDTH = 28

function Chart({ history }: { history: History }) {
  const [measure, size] = useElementSize()
  const width = Math.max(0, (size?.width ?? 0) - AXIS_WIDTH)
  const { bars, gridlines, labels } = layoutRunsChart(history.buckets, width, PLOT_HEIGHT)
  const byTime = new Map(history.buckets.map((bucket) => [bucket.at, bucket]))
  return (
    <div
      ref={measure}
      className="mx-4 mt-3.5 mb-2"
      style={{ height: PLOT_HEIGHT + LABEL_HEIGHT + 6 }}
    >
      {size && (
        <svg
          width={size.width}
          height={PLOT_HEIGHT + LABEL_HEIGHT + 6}
          role="img"
          aria-label={summary(history)}
          className="overflow-visible text-[10.5px]"
        >
          <defs>
            <pattern
              id="failed-hatch"
              width="5"
              height="5"
              patternUnits="userSpaceOnUse"
              patternTransform="rotate(45)"
            >
              <rect width="5" height="5" fill="var(--color-state-failed)" />
              <path d="M0 0v5" stroke="var(--color-card)" strokeWidth="2" />
            </pattern>
          </defs>
          {gridlines.map(({ value, y }) => (
            <g key={value}>
              <path d={`M${AXIS_WIDTH} ${y + 4}H${size.width}`} stroke="var(--color-border-soft)" />
              <text
                x={AXIS_WIDTH - 6}
                y={y + 8}
                textAnchor="end"
                fill="var(--color-muted-foreground)"
              >
                {value}
              </text>
            </g>
          ))}
          <g transform={`translate(${AXIS_WIDTH} 4)`}>
            {bars.map((bar) => {
              const bucket = byTime.get(bar.at)
              const successTop = PLOT_HEIGHT - bar.success
              const otherTop = successTop - bar.other
              const gap = bar.failed > 0 && otherTop < PLOT_HEIGHT ? 1.5 : 0
              return (
                <g key={bar.at}>
                  {bucket && <title>{describe(bucket)}</title>}
                  <rect x={bar.x} y={0} width={bar.width} height={PLOT_HEIGHT} fill="transparent" />
                  <rect
                    x={bar.x}
                    y={successTop}
                    width={bar.width}
                    height={bar.success}
                    rx={Math.min(2, bar.success / 2)}
                    fill="var(--color-state-success)"
                    opacity={0.82}
                  />
                  {bar.other > 0 && (
                    <rect
                      x={bar.x}
                      y={otherTop}
                      width={bar.width}
                      height={bar.other}
                      fill="var(--color-state-queued)"
                      opacity={0.6}
                    />
                  )}
                  <rect
                    x={bar.x}
                    y={otherTop - bar.failed - gap}
                    width={bar.width}
                    height={bar.failed}
                    rx={Math.min(2, bar.failed / 2)}
                    fill="url(#failed-hatch)"
                  />
                </g>
              )
            })}
            {labels.map(({ x, at }) => (
              <text
                key={at}
                x={x}
                y={PLOT_HEIGHT + LABEL_HEIGHT}
                fill="var(--color-muted-foreground)"
              >
                {timeLabel(at, history.bucket_seconds)}
              </text>
            ))}
          </g>
        </svg>
      )}
    </div>
  )
}

function HistoryTable({ history }: { history: History }) {
  return (
    <div
      className="max-h-[190px] overflow-y-auto"
      tabIndex={0}
      role="region"
      aria-label="Runs as a table"
    >
      <Table>
        <thead>
          <tr>
            <Th>From</Th>
            <Th>Succeeded</Th>
            <Th>Failed</Th>
            <Th>Timed out</Th>
            <Th>Cancelled</Th>
          </tr>
        </thead>
        <tbody>
          {history.buckets.toReversed().map((bucket) => (
            <tr key={bucket.at} className="border-b border-border-soft last:border-b-0">
              <Td className="py-1.5">{formatMoment(bucket.at)}</Td>
              <Td className="py-1.5">{bucket.success}</Td>
              <Td className="py-1.5">{bucket.failed}</Td>
              <Td className="py-1.5">{bucket.timed_out}</Td>
              <Td className="py-1.5">{bucket.cancelled}</Td>
            </tr>
          ))}
        </tbody>
      </Table>
    </div>
  )
}

function timeLabel(at: string, bucketSeconds: number): string {
  return bucketSeconds < 7200 ? formatClock(at).slice(0, 5) : formatDate(at)
}

function describe(bucket: History['buckets'][number]): string {
  const failed = bucket.failed + bucket.timed_out
  return `${formatMoment(bucket.at)}: ${bucket.success} succeeded, ${failed} failed, ${bucket.cancelled} cancelled`
}

function summary(history: History): string {
  const all = history.buckets.reduce((sum, bucket) => sum + ended(bucket), 0)
  const failed = history.buckets.reduce((sum, bucket) => sum + bucket.failed + bucket.timed_out, 0)
  return `${plural(all, 'run')} ended in this range, ${failed} failed`
}
