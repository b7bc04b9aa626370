import { useQuery } from '@tanstack/react-query'
import { Link, useSearchParams } from 'react-router'
import { CodeBlock } from '@/components/code-block'
import { EmptyState, ErrorPanel } from '@/components/feedback'
import { Button } from '@/components/ui/button'
import { Card } from '@/components/ui/card'
import { SkeletonRows } from '@/components/ui/skeleton'
import { pipelineTriggersQuery } from '@/features/triggers/api'
import { TriggerCard } from '@/features/triggers/components/trigger-card'
import { OWN_ZONE } from '@/features/triggers/moments'
import { useNow } from '@/hooks/use-now'
import type { Schemas } from '@/lib/api'
import { useHasRole } from '@/store/session'

const CLOCK_MS = 1000

/** What starts the pipeline by itself, and what came of it. */
export function TriggersTab({ pipeline }: { pipeline: Schemas['PipelineDetail'] }) {
  const now = useNow(CLOCK_MS)
  const [search, setSearch] = useSearchParams()
  const { data, error, isPending, refetch } = useQuery(pipelineTriggersQuery(pipeline.id))
  if (isPending) {
    return (
      <Card>
        <SkeletonRows rows={6} label="Loading the triggers" />
      </Card>
    )
  }
  if (!data) {
    return (
      <Card>
        <ErrorPanel error={error} what="The triggers" onRetry={() => void refetch()} />
      </Card>
    )
  }
  if (data.length === 0) return <NoTriggers />
  // Of one alone the history is open from the start.
  const opened = search.get('trigger') ?? (data.length === 1 ? data[0]?.id : undefined)
  const open = (trigger: string) =>
    setSearch({ tab: 'triggers', trigger }, { replace: true, preventScrollReset: true })
  return (
    <div className="flex flex-col gap-3.5">
      {data.map((trigger) => (
        <TriggerCard
          key={trigger.id}
          trigger={trigger}
          runs={pipeline.recent}
          now={now}
          open={trigger.id === opened}
          onOpen={(wanted) => open(wanted ? trigger.id : '')}
        />
      ))}
    </div>
  )
}

const EXAMPLE = `triggers:
  - id: nightly
    type: schedule
    cron: "15 2 * * 1-5"
    timezone: ${OWN_ZONE}
`

function NoTriggers() {
  const mayEdit = useHasRole('editor')
  return (
    <Card aria-label="Triggers">
      <EmptyState icon="clock" title="Nothing starts this pipeline by itself">
        Its definition has no triggers. It could have this one:
      </EmptyState>
      <div className="mx-auto -mt-4 flex max-w-[440px] flex-col items-stretch gap-4 px-4 pb-8">
        <CodeBlock title="Mon to Fri at 02:15" text={EXAMPLE} />
        {mayEdit && (
          <Button asChild className="self-center">
            <Link to="?tab=definition">Open the definition</Link>
          </Button>
        )}
      </div>
    </Card>
  )
}
