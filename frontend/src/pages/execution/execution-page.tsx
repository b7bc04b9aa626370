import { useQuery } from '@tanstack/react-query'
import { lazy, Suspense } from 'react'
import { useParams } from 'react-router'
import { ErrorPanel } from '@/components/feedback'
import { Icon } from '@/components/icon'
import { NotFound } from '@/components/not-found'
import { LiveIndicator } from '@/components/offline-banner'
import { PageBody, PageHeader } from '@/components/page'
import { Prose } from '@/components/prose'
import { Button } from '@/components/ui/button'
import { Card } from '@/components/ui/card'
import { SkeletonRows } from '@/components/ui/skeleton'
import { executionQuery, useCancel, usePause, useRetry } from '@/features/executions/api'
import { CauseCard } from '@/features/executions/components/cause-card'
import { ExecutionFacts } from '@/features/executions/components/execution-facts'
import { ExecutionGraph } from '@/features/executions/components/execution-graph'
import { Inspector } from '@/features/executions/components/inspector/inspector'
import { RetryPlan } from '@/features/executions/components/retry-plan'
import { Timeline } from '@/features/executions/components/timeline'
import { nextFailure, rootCause } from '@/features/executions/model/cause'
import { useLiveExecution } from '@/features/executions/use-live-execution'
import { useSelection } from '@/features/executions/use-selection'
import { explanationQuery } from '@/features/insights/api'
import { ExplanationCard } from '@/features/insights/components/explanation-card'
import { PredictionFacts } from '@/features/insights/components/prediction-facts'
import { RunAgainButton } from '@/features/pipelines/components/run-again-button'
import { useKey } from '@/hooks/use-key'
import { usePageTitle } from '@/hooks/use-page-title'
import { ApiError, type Schemas } from '@/lib/api'
import { hasEnded, isFailure } from '@/lib/status'
import { OpenApproval } from '@/pages/execution/open-approval'
import { useHasRole } from '@/store/session'

export function ExecutionPage() {
  const { executionId = '' } = useParams()
  const execution = useQuery(executionQuery(executionId))
  usePageTitle(
    execution.data ? `${execution.data.pipeline_name} #${execution.data.number}` : 'Execution',
  )

  if (execution.data) return <Loaded key={executionId} execution={execution.data} />
  if (execution.error instanceof ApiError && execution.error.status === 404) {
    return (
      <NotFound
        title="There is no such execution"
        detail={`Nothing is known of '${executionId}'. It may have been removed after the retention time.`}
        ways={[
          { to: '/executions', label: 'All executions' },
          { to: '/', label: 'Dashboard' },
        ]}
      />
    )
  }
  return (
    <>
      <PageHeader title="Execution" crumbs={[{ label: 'Executions', to: '/executions' }]} />
      <PageBody>
        <Card>
          {execution.error ? (
            <ErrorPanel
              error={execution.error}
              what="The execution"
              onRetry={() => void execution.refetch()}
            />
          ) : (
            <SkeletonRows rows={10} label="Loading the execution" />
          )}
        </Card>
      </PageBody>
    </>
  )
}

type Execution = Schemas['ExecutionDetail']

function Loaded({ execution }: { execution: Execution }) {
  useLiveExecution(execution.id)
  const selection = useSelection(execution.stages)
  const cause = rootCause(execution.stages)
  useKey('f', () => {
    const next = nextFailure(execution.stages, selection.run)
    if (next) selection.showLogs(next)
  })
  return (
    <>
      <PageHeader
        title={`#${execution.number}`}
        crumbs={[{ label: execution.pipeline_name, to: `/pipelines/${execution.pipeline_id}` }]}
      >
        {!hasEnded(execution.status) && <LiveIndicator className="max-tablet:hidden" />}
        <Actions execution={execution} />
      </PageHeader>
      <PageBody className="pt-3.5">
        <ExecutionFacts execution={execution}>
          <PredictionFacts execution={execution} />
        </ExecutionFacts>
        <OpenApproval execution={execution} />
        {cause?.error ? (
          <CauseCard execution={execution} run={cause} selection={selection}>
            {isFailure(execution.status) && <AskWhySlot executionId={execution.id} />}
          </CauseCard>
        ) : (
          isFailure(execution.status) && <WholeFailure execution={execution} />
        )}
        {isFailure(execution.status) && <ExplanationCard executionId={execution.id} />}
        <div className="grid grid-cols-[minmax(0,1.62fr)_minmax(0,1fr)] items-start gap-3.5 max-desktop:grid-cols-[minmax(0,1fr)]">
          <div className="flex min-w-0 flex-col gap-3.5">
            <ExecutionGraph
              stages={execution.stages}
              selected={selection.run?.stage ?? null}
              onSelect={(stage) => selection.selectStage(stage)}
            />
            <Timeline
              stages={execution.stages}
              ended={hasEnded(execution.status)}
              selected={selection.run}
              onSelect={selection.selectStage}
            />
          </div>
          <Inspector
            execution={execution}
            selection={selection}
            tools={(run) =>
              execution.ended_at !== null &&
              run.phase === 'main' && <RunAgainButton execution={execution} only={run.stage} />
            }
          />
        </div>
      </PageBody>
    </>
  )
}

const OUT_OF_TIME = 'ran out of time'
const NOT_STARTED = 'did not start in time'

/** No stage failed, yet the execution did: it ran into its own timeout, or its outputs could not be made. */
function WholeFailure({ execution }: { execution: Execution }) {
  const text = execution.error?.message ?? execution.reason
  if (!text) return null
  const timedOut = execution.status === 'timed_out'
  return (
    <Card aria-label="Why it failed" className="mb-3.5 px-4 py-3">
      <h2 className="flex items-center gap-2 text-strong font-semibold">
        <Icon name={timedOut ? 'clock-cross' : 'cross'} className="text-state-failed" />
        The execution {timedOut ? (execution.started_at ? OUT_OF_TIME : NOT_STARTED) : 'failed'}
      </h2>
      <p className="mono wrap-text mt-2 rounded-md bg-state-failed-tint px-3 py-2 text-state-failed">
        {text}
      </p>
      {execution.error?.suggestion && (
        <p className="mt-2">
          <Prose text={execution.error.suggestion} />
        </p>
      )}
      <AskWhySlot executionId={execution.id} />
    </Card>
  )
}

const AskWhy = lazy(async () => ({
  default: (await import('@/features/assistant/components/ask-why')).AskWhy,
}))

/** Only where the assistant may be asked, which comes with the likely causes. */
function AskWhySlot({ executionId }: { executionId: string }) {
  const mayAsk = useHasRole('operator')
  const { data } = useQuery(explanationQuery(executionId))
  if (!mayAsk || !data?.assistant) return null
  return (
    <Suspense fallback={null}>
      <AskWhy executionId={executionId} />
    </Suspense>
  )
}

function Actions({ execution }: { execution: Execution }) {
  const mayRun = useHasRole('operator')
  const retry = useRetry(execution.id)
  const cancel = useCancel(execution.id)
  const pause = usePause(execution.id)
  if (!mayRun) return null
  if (execution.retry) {
    // Of two that failed together the one that the cause is about; the record may name the other.
    const from = rootCause(execution.stages)?.stage ?? execution.failed_stage
    return (
      <>
        <RetryPlan
          plan={execution.retry}
          onAfresh={() => retry.mutate({ afresh: true })}
          className="max-tablet:order-last max-tablet:w-full"
        />
        <RunAgainButton execution={execution} />
        <Button variant="primary" disabled={retry.isPending} onClick={() => retry.mutate()}>
          <Icon name="retry" />
          {from ? `Retry from ${from}` : 'Retry'}
        </Button>
      </>
    )
  }
  if (hasEnded(execution.status)) return <RunAgainButton execution={execution} />
  const cancelling = execution.status === 'cancelling'
  const paused = execution.status === 'paused'
  return (
    <>
      {!cancelling && (
        <Button
          disabled={pause.isPending}
          onClick={() => pause.mutate(paused ? 'resume' : 'pause')}
        >
          <Icon name={paused ? 'executions' : 'hand'} />
          {paused ? 'Resume' : 'Pause'}
        </Button>
      )}
      <Button
        variant="danger"
        disabled={cancel.isPending || cancelling}
        onClick={() => cancel.mutate()}
      >
        <Icon name="stop" />
        {cancelling ? 'Cancelling…' : 'Cancel'}
      </Button>
    </>
  )
}
