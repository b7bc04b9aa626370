import { useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { useSearchParams } from 'react-router'
import { EmptyState, ErrorPanel } from '@/components/feedback'
import { LoadMore } from '@/components/load-more'
import { LiveIndicator } from '@/components/offline-banner'
import { PageBody, PageHeader } from '@/components/page'
import { Button } from '@/components/ui/button'
import { Card } from '@/components/ui/card'
import { SearchInput, Select } from '@/components/ui/field'
import { Segmented } from '@/components/ui/segmented'
import { SkeletonRows } from '@/components/ui/skeleton'
import { type ExecutionFilter, executionKeys, executionsQuery } from '@/features/executions/api'
import { BulkBar } from '@/features/executions/components/bulk-bar'
import { ExecutionTable } from '@/features/executions/components/execution-table'
import { useRowSelection } from '@/features/executions/use-row-selection'
import { pipelinesQuery } from '@/features/pipelines/api'
import { useDebounced } from '@/hooks/use-debounced'
import { useLiveRefresh } from '@/hooks/use-live-refresh'
import { useNow } from '@/hooks/use-now'
import { usePageTitle } from '@/hooks/use-page-title'
import type { ExecutionStatus } from '@/lib/status'
import { useHasRole } from '@/store/session'

const STATES = [
  { value: 'all', label: 'All' },
  { value: 'active', label: 'Active' },
  { value: 'failed', label: 'Failed' },
  { value: 'success', label: 'Succeeded' },
  { value: 'cancelled', label: 'Cancelled' },
] as const

type StateFilter = (typeof STATES)[number]['value']

const STATUSES: Record<StateFilter, ExecutionStatus[] | undefined> = {
  all: undefined,
  active: ['queued', 'running', 'paused', 'cancelling'],
  failed: ['failed', 'timed_out'],
  success: ['success'],
  cancelled: ['cancelled'],
}

const SEARCH_DELAY_MS = 300
const CLOCK_MS = 15_000
const REFRESH_MS = 1000

export function ExecutionsPage() {
  usePageTitle('Executions')
  useLiveRefresh('dashboard', [executionKeys.lists()], REFRESH_MS)
  const now = useNow(CLOCK_MS)
  const [search, setSearch] = useSearchParams()
  const state =
    STATES.find(({ value }) => value === (search.get('status') ?? search.get('state')))?.value ??
    'all'
  const pipelineId = search.get('pipeline') ?? ''
  const [text, setText] = useState(search.get('q') ?? '')
  const settledText = useDebounced(text.trim(), SEARCH_DELAY_MS)
  const filter: ExecutionFilter = {
    status: STATUSES[state],
    pipelineId: pipelineId || undefined,
    text: settledText || undefined,
  }
  const executions = useInfiniteQuery(executionsQuery(filter))
  const pipelines = useQuery(pipelinesQuery)
  const shown = executions.data?.pages.flatMap((page) => page.items) ?? []
  const mayTreat = useHasRole('operator')
  const selection = useRowSelection(JSON.stringify(filter))
  const everyTicked = shown.every(({ id }) => selection.ids.has(id))
  const filtered = state !== 'all' || pipelineId !== '' || settledText !== ''

  const change = (name: string, value: string) =>
    setSearch(
      (before) => {
        const after = new URLSearchParams(before)
        if (value) after.set(name, value)
        else after.delete(name)
        return after
      },
      { replace: true },
    )
  const reset = () => {
    setText('')
    setSearch({}, { replace: true })
  }

  return (
    <>
      <PageHeader title="Executions">
        <LiveIndicator />
      </PageHeader>
      <PageBody>
        <Card aria-label="Executions">
          <div className="flex flex-wrap items-center gap-2.5 border-b border-border-soft px-4 py-2.5 max-tablet:px-3">
            <Segmented
              label="State"
              options={STATES}
              value={state}
              onChange={(value) => change('status', value === 'all' ? '' : value)}
            />
            <Select
              aria-label="Pipeline"
              className="w-[180px] max-tablet:w-full"
              value={pipelineId}
              onChange={(event) => change('pipeline', event.target.value)}
            >
              <option value="">All pipelines</option>
              {pipelines.data?.map((pipeline) => (
                <option key={pipeline.id} value={pipeline.id}>
                  {pipeline.name}
                </option>
              ))}
            </Select>
            <SearchInput
              label="Text in the error"
              className="w-[220px] max-tablet:w-full"
              value={text}
              onChange={(event) => {
                setText(event.target.value)
                change('q', event.target.value)
              }}
            />
          </div>
          {executions.isPending && <SkeletonRows rows={8} label="Loading the executions" />}
          {executions.error && (
            <ErrorPanel
              error={executions.error}
              what="The executions"
              onRetry={() => void executions.refetch()}
            />
          )}
          {executions.data && shown.length === 0 && (
            <EmptyState
              icon="executions"
              title={filtered ? 'No execution matches' : 'Nothing has run yet'}
              action={filtered && <Button onClick={reset}>Clear the filters</Button>}
            >
              {!filtered && 'Run a pipeline and it will be here.'}
            </EmptyState>
          )}
          {mayTreat && (selection.ids.size > 0 || selection.matching) && (
            <BulkBar
              target={
                selection.matching
                  ? { kind: 'matching', filter }
                  : { kind: 'ids', ids: [...selection.ids] }
              }
              statuses={shown.filter(({ id }) => selection.ids.has(id)).map(({ status }) => status)}
              onTakeMatching={
                !selection.matching && executions.hasNextPage && everyTicked
                  ? selection.takeMatching
                  : null
              }
              onClear={selection.clear}
            />
          )}
          {shown.length > 0 && (
            <ExecutionTable
              executions={shown}
              now={now}
              selection={mayTreat ? selection : undefined}
            />
          )}
          <LoadMore
            hasMore={executions.hasNextPage}
            loading={executions.isFetchingNextPage}
            onLoad={() => void executions.fetchNextPage()}
          />
        </Card>
      </PageBody>
    </>
  )
}
