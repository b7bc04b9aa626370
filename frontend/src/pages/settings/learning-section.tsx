import { useQuery } from '@tanstack/react-query'
import { EmptyState, ErrorPanel } from '@/components/feedback'
import { Card, CardHeader } from '@/components/ui/card'
import { SkeletonRows } from '@/components/ui/skeleton'
import { assistantQuery, projectsQuery } from '@/features/assistant/api'
import { ProjectTable } from '@/features/assistant/components/project-table'
import { learningQuery } from '@/features/insights/api'
import { ModelCard } from '@/features/insights/components/model-card'
import { useLiveInsights } from '@/features/insights/use-live-insights'
import { usePageTitle } from '@/hooks/use-page-title'
import type { Schemas } from '@/lib/api'
import { formatMoment } from '@/lib/format'

/** Whether the server learns from its history, and how good what it learned is. */
export function LearningSection() {
  usePageTitle('Learning')
  useLiveInsights()
  const learning = useQuery(learningQuery)
  return (
    <div className="flex max-w-[1080px] flex-col gap-3.5">
      <Card aria-label="Learning">
        <CardHeader title="Learning">
          <span className="text-small text-muted-foreground">
            all of it on this server: no data leaves
          </span>
        </CardHeader>
        {learning.isPending && <SkeletonRows rows={3} label="Loading how learning stands" />}
        {learning.error && !learning.data && (
          <ErrorPanel
            error={learning.error}
            what="How learning stands"
            onRetry={() => void learning.refetch()}
          />
        )}
        {learning.data && <Standing learning={learning.data} />}
      </Card>
      <Projects />
      {learning.data?.models.length === 0 && (
        <Card>
          <EmptyState icon="spark" title="No model yet">
            Until there is enough to learn from, predictions are shares of earlier failures and
            usual durations.
          </EmptyState>
        </Card>
      )}
      {learning.data?.models.map((model) => (
        <ModelCard key={model.id} model={model} />
      ))}
    </div>
  )
}

/** For whose pipelines it learns, and who may ask the assistant. */
function Projects() {
  const projects = useQuery(projectsQuery)
  const assistant = useQuery(assistantQuery(null))
  const error = projects.error ?? assistant.error
  return (
    <Card aria-label="Projects">
      <CardHeader title="Projects">
        <span className="text-small text-muted-foreground">
          pipelines with the same label <span className="mono">project</span>
        </span>
      </CardHeader>
      {projects.data && assistant.data ? (
        <>
          <ProjectTable projects={projects.data} assistant={assistant.data} />
          <p className="wrap-text border-t border-border-soft px-4 py-2.5 text-small text-secondary-foreground">
            {assistant.data.host === null ? (
              'No assistant is set up on this server (FLEXIROASTER_ASSISTANT_URL): nothing can be sent.'
            ) : (
              <>
                The assistant is <span className="mono">{assistant.data.model}</span> at{' '}
                <span className="mono">{assistant.data.host}</span>. Nothing is sent to it before
                somebody asks, and nothing of a project where it is off.
              </>
            )}
          </p>
        </>
      ) : error ? (
        <ErrorPanel
          error={error}
          what="The projects"
          onRetry={() => {
            void projects.refetch()
            void assistant.refetch()
          }}
        />
      ) : (
        <SkeletonRows rows={2} label="Loading the projects" />
      )}
    </Card>
  )
}

function Standing({ learning }: { learning: Schemas['AiBody'] }) {
  const moment = (at: string | null) => (at ? formatMoment(at) : 'not yet')
  return (
    <dl className="grid grid-cols-[max-content_minmax(0,1fr)] gap-x-6 gap-y-2 px-4 py-3">
      <dt className="text-muted-foreground">Learning</dt>
      <dd>{learning.on ? 'on' : 'switched off (FLEXIROASTER_AI)'}</dd>
      <dt className="text-muted-foreground">Looked for insights</dt>
      <dd>{moment(learning.looked_at)}</dd>
      <dt className="text-muted-foreground">Trained</dt>
      <dd>{moment(learning.trained_at)}</dd>
      {learning.missing.length > 0 && (
        <>
          <dt className="text-muted-foreground">Missing packages</dt>
          <dd className="mono">{learning.missing.join(', ')}</dd>
        </>
      )}
      {learning.note && (
        <>
          <dt className="text-muted-foreground">Note</dt>
          <dd>{learning.note}</dd>
        </>
      )}
    </dl>
  )
}
