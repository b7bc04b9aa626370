import { useInfiniteQuery } from '@tanstack/react-query'
import { useSearchParams } from 'react-router'
import { EmptyState, ErrorPanel } from '@/components/feedback'
import { LoadMore } from '@/components/load-more'
import { LiveIndicator } from '@/components/offline-banner'
import { PageBody, PageHeader } from '@/components/page'
import { Button } from '@/components/ui/button'
import { Card } from '@/components/ui/card'
import { Segmented } from '@/components/ui/segmented'
import { SkeletonRows } from '@/components/ui/skeleton'
import { approvalsQuery } from '@/features/approvals/api'
import { ApprovalCard } from '@/features/approvals/components/approval-card'
import { useLiveApprovals } from '@/features/approvals/use-live-approvals'
import { usePageTitle } from '@/hooks/use-page-title'

const WHOSE = [
  { value: 'mine', label: 'For me' },
  { value: 'all', label: 'All' },
] as const

type Whose = (typeof WHOSE)[number]['value']

/** What waits for a decision. */
export function ApprovalsPage() {
  usePageTitle('Approvals')
  useLiveApprovals('dashboard')
  const [search, setSearch] = useSearchParams()
  const whose: Whose = search.get('whose') === 'all' ? 'all' : 'mine'
  const choose = (value: Whose) =>
    setSearch(value === 'all' ? { whose: value } : {}, { replace: true })
  const approvals = useInfiniteQuery(approvalsQuery(whose === 'mine'))
  const shown = approvals.data?.pages.flatMap((page) => page.items) ?? []
  return (
    <>
      <PageHeader title="Approvals">
        <LiveIndicator />
      </PageHeader>
      <PageBody className="max-w-[900px]">
        <div className="mb-3.5 flex flex-wrap items-center gap-3">
          <Segmented label="Whose" options={WHOSE} value={whose} onChange={choose} />
          {shown.length > 0 && (
            <span className="text-small text-muted-foreground">the longest waiting first</span>
          )}
        </div>
        {(approvals.isPending || approvals.error || shown.length === 0) && (
          <Card>
            {approvals.isPending && <SkeletonRows rows={6} label="Loading the approvals" />}
            {approvals.error && (
              <ErrorPanel
                error={approvals.error}
                what="The approvals"
                onRetry={() => void approvals.refetch()}
              />
            )}
            {approvals.data && shown.length === 0 && (
              <EmptyState
                icon="hand"
                title={whose === 'mine' ? 'Nothing waits for you' : 'Nothing waits for a decision'}
                action={
                  whose === 'mine' && (
                    <Button onClick={() => choose('all')}>Show those for others</Button>
                  )
                }
              >
                A stage of type approval asks here, and its execution waits until somebody decides.
              </EmptyState>
            )}
          </Card>
        )}
        {shown.map((approval) => (
          <ApprovalCard
            key={`${approval.execution_id} ${approval.stage} ${approval.index}`}
            approval={approval}
            showExecution
          />
        ))}
        <LoadMore
          hasMore={approvals.hasNextPage}
          loading={approvals.isFetchingNextPage}
          onLoad={() => void approvals.fetchNextPage()}
        />
      </PageBody>
    </>
  )
}
