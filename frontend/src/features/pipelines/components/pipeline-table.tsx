import type { ReactNode } from 'react'
import { Link } from 'react-router'
import { RunBars } from '@/components/run-bars'
import { StateBadge } from '@/components/state-badge'
import { Table, Td, Th, Tr } from '@/components/ui/table'
import { PipelineMenu } from '@/features/pipelines/components/pipeline-menu'
import { latestStatus } from '@/features/pipelines/model'
import type { Schemas } from '@/lib/api'
import { cn } from '@/lib/cn'
import { formatAgo, formatChance, formatDuration, formatPercent, plural } from '@/lib/format'

/** From here on it fails about as often as not. */
const HIGH_RISK = 0.5

type Pipeline = Schemas['PipelineSummary']
type PipelineTableProps = {
  pipelines: Pipeline[]
  now: number
  /** With labels, and with what can be done with each. */
  full?: boolean
  /** When it starts by itself next. */
  nextRun: (pipeline: Pipeline) => ReactNode
}

export function PipelineTable({ pipelines, now, full = false, nextRun }: PipelineTableProps) {
  return (
    <Table>
      <thead>
        <tr>
          <Th>Pipeline</Th>
          <Th>State</Th>
          <Th className="@max-[500px]:hidden">Last 20 runs</Th>
          <Th className="px-3 @max-[740px]:hidden">Next run</Th>
          <Th className="px-3 @max-[600px]:hidden">Success</Th>
          <Th className="px-3 @max-[660px]:hidden">p50</Th>
          <Th className="px-3 max-desktop:hidden">Risk</Th>
          {full && <Th className="max-desktop:hidden">Labels</Th>}
          {full && (
            <Th className="w-px">
              <span className="sr-only">Actions</span>
            </Th>
          )}
        </tr>
      </thead>
      <tbody>
        {pipelines.map((pipeline) => (
          <Tr key={pipeline.id}>
            <Td>
              <Link to={`/pipelines/${pipeline.id}`} className="cover-row font-semibold">
                {pipeline.name}
              </Link>
              <div className="text-small text-muted-foreground">
                <LatestRun pipeline={pipeline} now={now} />
              </div>
              <div className="text-small text-muted-foreground @min-[400px]:whitespace-nowrap not-empty:before:content-['next:_'] @min-[740px]:hidden">
                {nextRun(pipeline)}
              </div>
            </Td>
            <Td>
              <PipelineState pipeline={pipeline} />
            </Td>
            <Td className="@max-[500px]:hidden">
              <RunBars runs={pipeline.recent} />
            </Td>
            <Td className="px-3 @max-[740px]:hidden">{nextRun(pipeline)}</Td>
            <Td className="px-3 @max-[600px]:hidden">
              {pipeline.stats && formatPercent(pipeline.stats.success_rate)}
            </Td>
            <Td className="px-3 whitespace-nowrap @max-[660px]:hidden">
              {pipeline.stats?.p50_seconds != null && formatDuration(pipeline.stats.p50_seconds)}
            </Td>
            <Td className="px-3 whitespace-nowrap max-desktop:hidden">
              <Risk prediction={pipeline.prediction} />
            </Td>
            {full && (
              <Td className="max-desktop:hidden">
                <Labels labels={pipeline.labels} />
              </Td>
            )}
            {full && (
              <Td className="relative z-10 w-px py-0">
                <PipelineMenu pipeline={pipeline} />
              </Td>
            )}
          </Tr>
        ))}
      </tbody>
    </Table>
  )
}

/** How likely its next execution is to fail, where enough have ended to say so. */
function Risk({ prediction }: { prediction: Pipeline['prediction'] }) {
  if (!prediction?.enough || prediction.failure_probability === null) return null
  return (
    <span
      className={cn(
        prediction.failure_probability >= HIGH_RISK && 'font-semibold text-state-failed',
      )}
    >
      {formatChance(prediction.failure_probability)}
    </span>
  )
}

function LatestRun({ pipeline, now }: { pipeline: Pipeline; now: number }) {
  const latest = pipeline.recent.at(-1)
  return latest
    ? `#${latest.number}, ${formatAgo(latest.created_at, now)}`
    : plural(pipeline.stages_total, 'stage')
}

/** How its latest execution went, and whether it is held. */
export function PipelineState({ pipeline }: { pipeline: Pipeline }) {
  const status = latestStatus(pipeline)
  return (
    <span className="flex flex-wrap items-center gap-1.5">
      {status ? (
        <StateBadge status={status} />
      ) : (
        <span className="text-muted-foreground">No runs yet</span>
      )}
      {!pipeline.enabled && <StateBadge status="paused" />}
    </span>
  )
}

export function Labels({ labels }: { labels: Record<string, string> }) {
  return (
    <span className="flex flex-wrap gap-1.5">
      {Object.entries(labels).map(([name, value]) => (
        <span
          key={name}
          className="rounded-sm border border-border px-1.5 text-tiny whitespace-nowrap text-secondary-foreground"
        >
          {name}: {value}
        </span>
      ))}
    </span>
  )
}
