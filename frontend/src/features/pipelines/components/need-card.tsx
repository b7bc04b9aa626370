import { useQuery } from '@tanstack/react-query'
import { type ReactNode, useState } from 'react'
import { Link } from 'react-router'
import { EmptyState, ErrorPanel } from '@/components/feedback'
import { Card, CardHeader } from '@/components/ui/card'
import { Segmented } from '@/components/ui/segmented'
import { SkeletonRows } from '@/components/ui/skeleton'
import { pipelinesQuery } from '@/features/pipelines/api'
import { NewPipelineButton } from '@/features/pipelines/components/new-pipeline-button'
import { PipelineTable } from '@/features/pipelines/components/pipeline-table'
import { isActive, isFailing, sortByNeed } from '@/features/pipelines/model'
import type { Schemas } from '@/lib/api'

type Pipeline = Schemas['PipelineSummary']
type Filter = 'all' | 'failing' | 'running'

const SHOWN = 8

const FILTERS: Record<Filter, (pipeline: Pipeline) => boolean> = {
  all: () => true,
  failing: isFailing,
  running: isActive,
}

const WORDS: Record<Filter, string> = { all: 'All', failing: 'Failing', running: 'Running' }

type NeedCardProps = { now: number; nextRun: (pipeline: Pipeline) => ReactNode }

/** The pipelines that need somebody, before those that do not. */
export function NeedCard({ now, nextRun }: NeedCardProps) {
  const [filter, setFilter] = useState<Filter>('all')
  const { data, error, isPending, refetch } = useQuery(pipelinesQuery)
  const sorted = data && sortByNeed(data)
  const matching = sorted?.filter(FILTERS[filter]) ?? []
  const options = (Object.keys(FILTERS) as Filter[]).map((value) => ({
    value,
    label: `${WORDS[value]} ${sorted?.filter(FILTERS[value]).length ?? ''}`.trim(),
  }))
  return (
    <Card aria-label="Pipelines by need">
      <CardHeader
        title="Pipelines"
        end={
          <Segmented
            label="Which pipelines"
            options={options}
            value={filter}
            onChange={setFilter}
          />
        }
      >
        <span className="text-small text-muted-foreground">sorted by need</span>
      </CardHeader>
      {isPending && <SkeletonRows rows={6} label="Loading the pipelines" />}
      {error && !data && (
        <ErrorPanel error={error} what="The pipelines" onRetry={() => void refetch()} />
      )}
      {data?.length === 0 && (
        <EmptyState
          icon="pipelines"
          title="There is no pipeline yet"
          action={<NewPipelineButton />}
        >
          A pipeline is a list of stages, written as YAML.
        </EmptyState>
      )}
      {data && data.length > 0 && matching.length === 0 && (
        <p className="p-4 text-muted-foreground">
          {filter === 'failing' ? 'None is failing.' : 'None is running.'}
        </p>
      )}
      {matching.length > 0 && (
        <PipelineTable pipelines={matching.slice(0, SHOWN)} now={now} nextRun={nextRun} />
      )}
      {matching.length > SHOWN && (
        <p className="border-t border-border-soft px-4 py-2 text-small">
          <Link to="/pipelines" className="text-link hover:underline">
            {matching.length - SHOWN} more
          </Link>
        </p>
      )}
    </Card>
  )
}
