import { useInfiniteQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { Link, useSearchParams } from 'react-router'
import { EmptyState, ErrorPanel } from '@/components/feedback'
import { LoadMore } from '@/components/load-more'
import { LiveIndicator } from '@/components/offline-banner'
import { PageBody, PageHeader } from '@/components/page'
import { Button } from '@/components/ui/button'
import { Card } from '@/components/ui/card'
import { SearchInput } from '@/components/ui/field'
import { SkeletonRows } from '@/components/ui/skeleton'
import { pipelineKeys, pipelineListQuery } from '@/features/pipelines/api'
import { NewPipelineButton } from '@/features/pipelines/components/new-pipeline-button'
import { PipelineTable } from '@/features/pipelines/components/pipeline-table'
import { NextRun } from '@/features/triggers/components/next-run'
import { useNextRuns } from '@/features/triggers/use-live-triggers'
import { useDebounced } from '@/hooks/use-debounced'
import { useLiveRefresh } from '@/hooks/use-live-refresh'
import { useNow } from '@/hooks/use-now'
import { usePageTitle } from '@/hooks/use-page-title'
import { concernsPipelines } from '@/lib/live-events'

const SEARCH_DELAY_MS = 300
const CLOCK_MS = 15_000
const REFRESH_MS = 1000

export function PipelinesPage() {
  usePageTitle('Pipelines')
  useLiveRefresh('dashboard', [pipelineKeys.lists()], REFRESH_MS, concernsPipelines)
  const now = useNow(CLOCK_MS)
  const next = useNextRuns()
  const [search, setSearch] = useSearchParams()
  const [text, setText] = useState(search.get('q') ?? '')
  const settledText = useDebounced(text.trim(), SEARCH_DELAY_MS)
  const pipelines = useInfiniteQuery(pipelineListQuery(settledText))
  const shown = pipelines.data?.pages.flatMap((page) => page.items) ?? []
  const find = (value: string) => {
    setText(value)
    setSearch(value ? { q: value } : {}, { replace: true })
  }

  return (
    <>
      <PageHeader title="Pipelines">
        <LiveIndicator className="max-tablet:hidden" />
        <NewPipelineButton />
      </PageHeader>
      <PageBody>
        <Card aria-label="Pipelines">
          <div className="border-b border-border-soft px-4 py-2.5 max-tablet:px-3">
            <SearchInput
              label="Find a pipeline"
              className="w-[280px] max-tablet:w-full"
              value={text}
              onChange={(event) => find(event.target.value)}
            />
          </div>
          {pipelines.isPending && <SkeletonRows rows={8} label="Loading the pipelines" />}
          {pipelines.error && (
            <ErrorPanel
              error={pipelines.error}
              what="The pipelines"
              onRetry={() => void pipelines.refetch()}
            />
          )}
          {pipelines.data && shown.length === 0 && (
            <EmptyState
              icon="pipelines"
              title={
                settledText ? `No pipeline matches “${settledText}”` : 'There is no pipeline yet'
              }
              action={
                settledText ? (
                  <Button onClick={() => find('')}>Show all</Button>
                ) : (
                  <Button variant="primary" asChild>
                    <Link to="/pipelines/new">New pipeline</Link>
                  </Button>
                )
              }
            >
              {!settledText && 'A pipeline is a list of stages, written as YAML.'}
            </EmptyState>
          )}
          {shown.length > 0 && (
            <PipelineTable
              pipelines={shown}
              now={now}
              full
              nextRun={({ id }) => <NextRun next={next?.get(id)} now={now} />}
            />
          )}
          <LoadMore
            hasMore={pipelines.hasNextPage}
            loading={pipelines.isFetchingNextPage}
            onLoad={() => void pipelines.fetchNextPage()}
          />
        </Card>
      </PageBody>
    </>
  )
}
