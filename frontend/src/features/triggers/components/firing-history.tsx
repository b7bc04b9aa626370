import { useInfiniteQuery } from '@tanstack/react-query'
import { ErrorPanel } from '@/components/feedback'
import { LoadMore } from '@/components/load-more'
import { SkeletonRows } from '@/components/ui/skeleton'
import { Table, Td, Th, Tr } from '@/components/ui/table'
import { firingsQuery, type Trigger } from '@/features/triggers/api'
import { FiringReason } from '@/features/triggers/components/firing-reason'
import { FiringState } from '@/features/triggers/components/firing-state'
import { StartedExecution } from '@/features/triggers/components/started-execution'
import { readingOf } from '@/features/triggers/model'
import { formatExactly, formatInZone } from '@/features/triggers/moments'
import type { Schemas } from '@/lib/api'

type FiringHistoryProps = { trigger: Trigger; runs: readonly Schemas['RunBar'][] }

/** What became of the trigger's instants, the latest first. */
export function FiringHistory({ trigger, runs }: FiringHistoryProps) {
  const history = useInfiniteQuery(firingsQuery(trigger.pipeline_id, trigger.id))
  const shown = history.data?.pages.flatMap((page) => page.items) ?? []
  return (
    <>
      {history.isPending && <SkeletonRows rows={4} label="Loading the history" />}
      {history.error && (
        <ErrorPanel
          error={history.error}
          what="The history"
          onRetry={() => void history.refetch()}
        />
      )}
      {history.data && shown.length === 0 && (
        <p className="px-4 py-3 text-muted-foreground">None of its instants has come yet.</p>
      )}
      {shown.length > 0 && (
        <Table aria-label={`History of ${trigger.id}`}>
          <thead>
            <tr>
              <Th>Instant</Th>
              <Th>State</Th>
              <Th className="max-tablet:hidden">Execution</Th>
              <Th className="max-tablet:hidden">Reason</Th>
            </tr>
          </thead>
          <tbody>
            {shown.map((firing) => (
              <Tr key={firing.instant}>
                <Td className="max-tablet:align-top tablet:whitespace-nowrap">
                  <time
                    dateTime={firing.instant}
                    title={formatExactly(firing.instant, readingOf(trigger))}
                  >
                    {formatInZone(firing.instant, readingOf(trigger))}
                  </time>
                  {firing.count > 1 && (
                    <span className="text-muted-foreground"> and {firing.count - 1} before</span>
                  )}
                  <div className="wrap-text text-small text-muted-foreground tablet:hidden">
                    <FiringReason firing={firing} />
                  </div>
                </Td>
                <Td className="max-tablet:align-top">
                  <FiringState state={firing.state} />
                  {firing.execution_id && (
                    <div className="mt-1.5 tablet:hidden">
                      <StartedExecution firing={firing} runs={runs} />
                    </div>
                  )}
                </Td>
                <Td className="max-tablet:hidden">
                  <StartedExecution firing={firing} runs={runs} />
                </Td>
                <Td className="wrap-text w-[50%] text-small text-muted-foreground max-tablet:hidden">
                  <FiringReason firing={firing} />
                </Td>
              </Tr>
            ))}
          </tbody>
        </Table>
      )}
      <LoadMore
        hasMore={history.hasNextPage}
        loading={history.isFetchingNextPage}
        onLoad={() => void history.fetchNextPage()}
      />
    </>
  )
}
