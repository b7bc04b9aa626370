import { useQuery } from '@tanstack/react-query'
import { useSearchParams } from 'react-router'
import { ErrorPanel } from '@/components/feedback'
import { Card, CardHeader } from '@/components/ui/card'
import { SkeletonRows } from '@/components/ui/skeleton'
import { pipelineKeys, versionsQuery } from '@/features/pipelines/api'
import { VersionCard } from '@/features/pipelines/components/version-card'
import { useLiveRefresh } from '@/hooks/use-live-refresh'
import type { Schemas } from '@/lib/api'
import { cn } from '@/lib/cn'
import { formatMoment, plural } from '@/lib/format'
import { changesVersions } from '@/lib/live-events'

const REFRESH_MS = 500

/** Every version with its author, drafts among them; any can be read, compared and brought back. */
export function VersionsTab({ pipeline }: { pipeline: Schemas['PipelineDetail'] }) {
  const versions = useQuery(versionsQuery(pipeline.id))
  useLiveRefresh(
    `pipeline:${pipeline.id}`,
    [pipelineKeys.versions(pipeline.id)],
    REFRESH_MS,
    changesVersions,
  )
  const [search, setSearch] = useSearchParams()
  const chosen = Number(search.get('version')) || pipeline.version
  const choose = (version: number) =>
    setSearch({ tab: 'versions', version: String(version) }, { preventScrollReset: true })

  if (versions.isPending) {
    return (
      <Card>
        <SkeletonRows rows={6} label="Loading the versions" />
      </Card>
    )
  }
  if (versions.error) {
    return (
      <Card>
        <ErrorPanel
          error={versions.error}
          what="The versions"
          onRetry={() => void versions.refetch()}
        />
      </Card>
    )
  }
  return (
    <div className="grid grid-cols-[minmax(0,1fr)_minmax(0,1.6fr)] items-start gap-3.5 max-desktop:grid-cols-[minmax(0,1fr)]">
      <Card className="overflow-hidden">
        <CardHeader title="Versions" />
        <ul className="divide-y divide-border-soft">
          {versions.data.map((version) => (
            <li key={version.version}>
              <VersionChoice
                version={version}
                runs={version.version === pipeline.version}
                chosen={version.version === chosen}
                onChoose={() => choose(version.version)}
              />
            </li>
          ))}
        </ul>
      </Card>
      <VersionCard key={chosen} pipeline={pipeline} version={chosen} onChoose={choose} />
    </div>
  )
}

type VersionChoiceProps = {
  version: Schemas['PipelineVersion']
  /** Whether it is what new executions run. */
  runs: boolean
  chosen: boolean
  onChoose: () => void
}

function VersionChoice({ version, runs, chosen, onChoose }: VersionChoiceProps) {
  const isDraft = version.state === 'draft'
  return (
    <button
      type="button"
      aria-pressed={chosen}
      onClick={onChoose}
      className={cn(
        'block w-full px-4 py-2.5 text-left -outline-offset-2 hover:bg-muted',
        chosen && 'bg-background',
      )}
    >
      <span className="flex flex-wrap items-center gap-x-2">
        <b className="font-semibold">
          {isDraft ? 'Draft' : 'Version'} {version.version}
        </b>
        {isDraft && (
          <span className="rounded-sm border border-dashed border-input px-1.5 text-small text-secondary-foreground">
            from version {version.based_on}
          </span>
        )}
        {runs && (
          <span className="rounded-sm bg-state-success-tint px-1.5 text-small font-semibold text-state-success forced-border">
            runs now
          </span>
        )}
        <span className="ml-auto text-small text-muted-foreground">
          {formatMoment(version.published_at ?? version.created_at)}
        </span>
      </span>
      <span className="block text-small text-muted-foreground wrap-text">
        {[
          version.published_by ?? version.created_by,
          plural(version.stages_total, 'stage'),
          version.note,
        ]
          .filter(Boolean)
          .join(', ')}
      </span>
    </button>
  )
}
