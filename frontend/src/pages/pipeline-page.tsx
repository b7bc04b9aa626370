import { useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { useMemo } from 'react'
import { Link, useNavigate, useParams, useSearchParams } from 'react-router'
import { EmptyState, ErrorPanel } from '@/components/feedback'
import { Icon } from '@/components/icon'
import { LoadMore } from '@/components/load-more'
import { NotFound } from '@/components/not-found'
import { LiveIndicator } from '@/components/offline-banner'
import { PageBody, PageHeader } from '@/components/page'
import { RunBars } from '@/components/run-bars'
import { StageGraph } from '@/components/stage-graph/stage-graph'
import { Card } from '@/components/ui/card'
import { SkeletonRows } from '@/components/ui/skeleton'
import { Tab, TabList, TabPanel, Tabs } from '@/components/ui/tabs'
import { executionKeys, executionsQuery } from '@/features/executions/api'
import { ExecutionTable } from '@/features/executions/components/execution-table'
import { pipelineKeys, pipelineQuery } from '@/features/pipelines/api'
import { DefinitionTab } from '@/features/pipelines/components/definition-tab'
import { PausedNote } from '@/features/pipelines/components/paused-note'
import { PipelineMenu } from '@/features/pipelines/components/pipeline-menu'
import { Labels, PipelineState } from '@/features/pipelines/components/pipeline-table'
import { RunButton } from '@/features/pipelines/components/run-button'
import { VersionsTab } from '@/features/pipelines/components/versions-tab'
import { outlineNodes } from '@/features/pipelines/outline'
import { pipelineTriggersQuery } from '@/features/triggers/api'
import { NextRun } from '@/features/triggers/components/next-run'
import { TriggersTab } from '@/features/triggers/components/triggers-tab'
import { nextRuns } from '@/features/triggers/model'
import { useLivePipelineTriggers } from '@/features/triggers/use-live-triggers'
import { useLiveRefresh } from '@/hooks/use-live-refresh'
import { useNow } from '@/hooks/use-now'
import { usePageTitle } from '@/hooks/use-page-title'
import { ApiError, type Schemas } from '@/lib/api'
import { formatDuration, formatPercent, plural } from '@/lib/format'
import { concernsPipelines } from '@/lib/live-events'
import { DraftSlot } from '@/pages/drafting/draft-slot'

const REFRESH_MS = 1000
const CLOCK_MS = 15_000

export function PipelinePage() {
  const { pipelineId = '' } = useParams()
  const pipeline = useQuery(pipelineQuery(pipelineId))
  usePageTitle(pipeline.data?.name ?? 'Pipeline')

  if (pipeline.data) return <Loaded key={pipelineId} pipeline={pipeline.data} />
  if (pipeline.error instanceof ApiError && pipeline.error.status === 404) {
    return (
      <NotFound
        title="There is no such pipeline"
        detail={`Nothing is known of '${pipelineId}'. It may have been deleted or renamed.`}
        ways={[
          { to: '/pipelines', label: 'All pipelines' },
          { to: '/pipelines/new', label: 'New pipeline' },
        ]}
      />
    )
  }
  return (
    <>
      <PageHeader title="Pipeline" crumbs={[{ label: 'Pipelines', to: '/pipelines' }]} />
      <PageBody>
        <Card>
          {pipeline.error ? (
            <ErrorPanel
              error={pipeline.error}
              what="The pipeline"
              onRetry={() => void pipeline.refetch()}
            />
          ) : (
            <SkeletonRows rows={8} label="Loading the pipeline" />
          )}
        </Card>
      </PageBody>
    </>
  )
}

type Pipeline = Schemas['PipelineDetail']

function Loaded({ pipeline }: { pipeline: Pipeline }) {
  useLiveRefresh(
    `pipeline:${pipeline.id}`,
    [executionKeys.lists(), pipelineKeys.detail(pipeline.id)],
    REFRESH_MS,
    concernsPipelines,
  )
  useLivePipelineTriggers(pipeline.id)
  const navigate = useNavigate()
  const [search, setSearch] = useSearchParams()
  const tab = search.get('tab') ?? 'runs'
  return (
    <>
      <PageHeader title={pipeline.name} crumbs={[{ label: 'Pipelines', to: '/pipelines' }]}>
        <LiveIndicator className="max-tablet:hidden" />
        <PipelineMenu pipeline={pipeline} onDeleted={() => void navigate('/pipelines')} />
        <RunButton pipeline={pipeline} />
      </PageHeader>
      <PageBody className="pt-3.5">
        <Facts pipeline={pipeline} />
        <Tabs
          value={tab}
          onValueChange={(value) =>
            setSearch(value === 'runs' ? {} : { tab: value }, { replace: true })
          }
        >
          <TabList aria-label="About the pipeline" className="mb-3.5 border-border px-0">
            <Tab value="runs">Runs</Tab>
            <Tab value="triggers">Triggers</Tab>
            <Tab value="graph">Graph</Tab>
            <Tab value="definition">Definition</Tab>
            <Tab value="versions">Versions</Tab>
          </TabList>
          <TabPanel value="runs">
            <RunsTab pipeline={pipeline} />
          </TabPanel>
          <TabPanel value="triggers">
            <TriggersTab pipeline={pipeline} />
          </TabPanel>
          <TabPanel value="graph">
            <GraphTab pipeline={pipeline} />
          </TabPanel>
          <TabPanel value="definition">
            <DefinitionTab
              pipeline={pipeline}
              aid={(source, onUse) => (
                <DraftSlot pipelineId={pipeline.id} source={source} onUse={onUse} />
              )}
            />
          </TabPanel>
          <TabPanel value="versions">
            <VersionsTab pipeline={pipeline} />
          </TabPanel>
        </Tabs>
      </PageBody>
    </>
  )
}

function Facts({ pipeline }: { pipeline: Pipeline }) {
  const { stats } = pipeline
  return (
    <div className="mb-3 flex flex-col gap-2">
      <PausedNote pipeline={pipeline} />
      {pipeline.description && <p className="max-w-[80ch]">{pipeline.description}</p>}
      <div className="flex flex-wrap items-center gap-x-4 gap-y-2 text-small text-muted-foreground">
        <PipelineState pipeline={pipeline} />
        <span>
          version <b className="font-medium text-foreground">v{pipeline.version}</b>
        </span>
        {pipeline.drafts.length > 0 && (
          <Link to={`?tab=versions&version=${pipeline.drafts[0]}`} className="text-link underline">
            {plural(pipeline.drafts.length, 'draft')}
          </Link>
        )}
        <span>{plural(pipeline.stages_total, 'stage')}</span>
        {stats && (
          <>
            <span>
              success{' '}
              <b className="font-medium text-foreground">{formatPercent(stats.success_rate)}</b> of{' '}
              {plural(stats.executions, 'run')}
            </span>
            {stats.p50_seconds !== null && (
              <span>
                p50{' '}
                <b className="font-medium text-foreground">{formatDuration(stats.p50_seconds)}</b>
              </span>
            )}
            {stats.p95_seconds !== null && (
              <span>
                p95{' '}
                <b className="font-medium text-foreground">{formatDuration(stats.p95_seconds)}</b>
              </span>
            )}
          </>
        )}
        <NextRunFact pipelineId={pipeline.id} />
        <Labels labels={pipeline.labels} />
        <span className="ml-auto max-tablet:ml-0">
          <RunBars runs={pipeline.recent} />
        </span>
      </div>
      {pipeline.code_stages.length > 0 && (
        <p className="flex items-center gap-2 text-small text-state-retrying">
          <Icon name="warning" className="size-3.5" />
          Runs code in {pipeline.code_stages.join(', ')}: this server must allow code stages.
        </p>
      )}
    </div>
  )
}

function NextRunFact({ pipelineId }: { pipelineId: string }) {
  const now = useNow(CLOCK_MS)
  const { data } = useQuery({ ...pipelineTriggersQuery(pipelineId), select: nextRuns })
  const next = data?.get(pipelineId)
  if (!next) return null
  return (
    <span>
      {next.state === 'due' ? 'next run' : 'schedule'}{' '}
      <Link to="?tab=triggers" className="text-link hover:underline">
        <NextRun next={next} now={now} className="text-link" />
      </Link>
    </span>
  )
}

function RunsTab({ pipeline }: { pipeline: Pipeline }) {
  const now = useNow(CLOCK_MS)
  const executions = useInfiniteQuery(executionsQuery({ pipelineId: pipeline.id }))
  const shown = executions.data?.pages.flatMap((page) => page.items) ?? []
  return (
    <Card aria-label="Runs">
      {executions.isPending && <SkeletonRows rows={6} label="Loading the runs" />}
      {executions.error && (
        <ErrorPanel
          error={executions.error}
          what="The runs"
          onRetry={() => void executions.refetch()}
        />
      )}
      {executions.data && shown.length === 0 && (
        <EmptyState
          icon="executions"
          title="This pipeline has not run yet"
          action={<RunButton pipeline={pipeline} />}
        />
      )}
      {shown.length > 0 && <ExecutionTable executions={shown} now={now} showPipeline={false} />}
      <LoadMore
        hasMore={executions.hasNextPage}
        loading={executions.isFetchingNextPage}
        onLoad={() => void executions.fetchNextPage()}
      />
    </Card>
  )
}

const GRAPH_HEIGHT = 620

function GraphTab({ pipeline }: { pipeline: Pipeline }) {
  const nodes = useMemo(() => outlineNodes(pipeline.stages), [pipeline.stages])
  return <StageGraph nodes={nodes} maxHeight={GRAPH_HEIGHT} />
}
