import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { CodeBlock } from '@/components/code-block'
import { ErrorPanel, explain } from '@/components/feedback'
import { Button } from '@/components/ui/button'
import { Card, CardHeader } from '@/components/ui/card'
import { SkeletonRows } from '@/components/ui/skeleton'
import { useSaveVersion, versionQuery, versionsQuery } from '@/features/pipelines/api'
import type { Schemas } from '@/lib/api'
import { cn } from '@/lib/cn'
import { formatMoment, plural } from '@/lib/format'
import { useHasRole } from '@/store/session'
import { toast } from '@/store/toasts'

type Pipeline = Schemas['PipelineDetail']

/** Every version with its author; any can be read and made the newest again. */
export function VersionsTab({ pipeline }: { pipeline: Pipeline }) {
  const versions = useQuery(versionsQuery(pipeline.id))
  const [chosen, setChosen] = useState(pipeline.version)

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
      <Card>
        <CardHeader title="Versions" />
        <ul className="divide-y divide-border-soft">
          {versions.data.map((version) => (
            <li key={version.version}>
              <button
                type="button"
                aria-pressed={version.version === chosen}
                onClick={() => setChosen(version.version)}
                className={cn(
                  'block w-full px-4 py-2.5 text-left -outline-offset-2 hover:bg-muted',
                  version.version === chosen && 'bg-background',
                )}
              >
                <span className="flex flex-wrap items-baseline gap-x-2">
                  <b className="font-semibold">Version {version.version}</b>
                  {version.version === pipeline.version && (
                    <span className="text-small text-muted-foreground">newest</span>
                  )}
                  <span className="ml-auto text-small text-muted-foreground">
                    {formatMoment(version.created_at)}
                  </span>
                </span>
                <span className="block text-small text-muted-foreground">
                  {[version.created_by, plural(version.stages_total, 'stage'), version.note]
                    .filter(Boolean)
                    .join(', ')}
                </span>
              </button>
            </li>
          ))}
        </ul>
      </Card>
      <VersionCard key={chosen} pipeline={pipeline} version={chosen} />
    </div>
  )
}

function VersionCard({ pipeline, version }: { pipeline: Pipeline; version: number }) {
  const detail = useQuery(versionQuery(pipeline.id, version))
  return (
    <Card>
      <CardHeader
        title={`Version ${version}`}
        end={
          detail.data &&
          version !== pipeline.version && <RestoreButton pipeline={pipeline} detail={detail.data} />
        }
      />
      {detail.isPending && <SkeletonRows rows={8} label="Loading the version" />}
      {detail.error && (
        <ErrorPanel error={detail.error} what="The version" onRetry={() => void detail.refetch()} />
      )}
      {detail.data && (
        <div className="p-4">
          <CodeBlock
            title={detail.data.source_format === 'yaml' ? 'YAML' : 'JSON'}
            text={detail.data.source}
            lineNumbers
          />
        </div>
      )}
    </Card>
  )
}

type RestoreButtonProps = { pipeline: Pipeline; detail: Schemas['PipelineVersionDetail'] }

function RestoreButton({ pipeline, detail }: RestoreButtonProps) {
  const save = useSaveVersion(pipeline.id)
  const mayEdit = useHasRole('editor')
  if (!mayEdit) return null
  return (
    <Button
      size="small"
      disabled={save.isPending}
      onClick={() =>
        save.mutate(
          { source: detail.source, basedOn: pipeline.version },
          {
            onSuccess: ({ version }) =>
              toast('success', `Version ${detail.version} is back, as version ${version}.`),
            onError: (error) => toast('failed', explain(error)),
          },
        )
      }
    >
      Restore as version {pipeline.version + 1}
    </Button>
  )
}
