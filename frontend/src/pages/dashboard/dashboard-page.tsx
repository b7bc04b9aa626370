import { useQuery } from '@tanstack/react-query'
import { LiveIndicator } from '@/components/offline-banner'
import { PageBody, PageHeader } from '@/components/page'
import { forMeQuery } from '@/features/approvals/api'
import { WaitingCard } from '@/features/approvals/components/waiting-card'
import { latestExecutionsQuery } from '@/features/executions/api'
import { ActivityCard } from '@/features/executions/components/activity-card'
import { MetricCards } from '@/features/metrics/metric-cards'
import { RunsCard } from '@/features/metrics/runs-card'
import { pipelinesQuery } from '@/features/pipelines/api'
import { NeedCard } from '@/features/pipelines/components/need-card'
import { NewPipelineButton } from '@/features/pipelines/components/new-pipeline-button'
import { NextRun } from '@/features/triggers/components/next-run'
import { useNextRuns } from '@/features/triggers/use-live-triggers'
import { useNow } from '@/hooks/use-now'
import { usePageTitle } from '@/hooks/use-page-title'
import { Attention } from '@/pages/dashboard/attention'
import { LATEST, useLiveDashboard } from '@/pages/dashboard/use-live-dashboard'
import { useHasRole } from '@/store/session'

const CLOCK_MS = 15_000

/** Is anything wrong, and what next? */
export function DashboardPage() {
  usePageTitle('Dashboard')
  useLiveDashboard()
  const now = useNow(CLOCK_MS)
  const pipelines = useQuery(pipelinesQuery)
  const forMe = useQuery({ ...forMeQuery, enabled: useHasRole('operator') })
  const latest = useQuery(latestExecutionsQuery(LATEST))
  const next = useNextRuns()
  return (
    <>
      <PageHeader title="Dashboard">
        <LiveIndicator />
        <NewPipelineButton />
      </PageHeader>
      <PageBody>
        <Attention pipelines={pipelines.data ?? []} latest={latest.data} now={now} />
        <WaitingCard approvals={forMe.data ?? []} now={now} />
        <MetricCards />
        <div className="grid grid-cols-[minmax(0,1.9fr)_minmax(0,1fr)] items-start gap-3.5 max-desktop:grid-cols-[minmax(0,1fr)] min-[1400px]:grid-cols-[minmax(0,2.3fr)_minmax(0,1fr)]">
          <NeedCard now={now} nextRun={({ id }) => <NextRun next={next?.get(id)} now={now} />} />
          <div className="flex min-w-0 flex-col gap-3.5">
            <ActivityCard executions={latest} />
          </div>
          <div className="col-span-full">
            <RunsCard />
          </div>
        </div>
      </PageBody>
    </>
  )
}
